use d402_core::ports::{MoneyStep, StepOutcome, StoreError};

use crate::home::Home;
use crate::sample::{create_all, effect, id, step, task};

pub(crate) async fn effects_are_planned_with_what_caused_them(home: &Home) {
    let tasks = home.store.tasks();
    let mut new = task("a");
    new.money = vec![effect("a", "pay:a", "payment")];
    tasks.create(new).await.unwrap();
    let mut settling = step("a", 1);
    // Listed in the order they were planned, not of their keys.
    settling.money = vec![
        effect("a", "settle:a", "receipt"),
        effect("a", "close:a", "close"),
    ];
    tasks.append(vec![settling]).await.unwrap();
    let planned = [
        effect("a", "pay:a", "payment"),
        effect("a", "settle:a", "receipt"),
        effect("a", "close:a", "close"),
    ];
    assert_eq!(tasks.money(id("a")).await.unwrap(), planned);
    assert_eq!(tasks.money(id("unknown")).await.unwrap(), []);
}

pub(crate) async fn an_effect_planned_twice_keeps_its_first_bytes(home: &Home) {
    let tasks = home.store.tasks();
    tasks.create(task("a")).await.unwrap();
    let mut first = step("a", 1);
    first.money = vec![
        effect("a", "settle:a", "first"),
        effect("a", "settle:a", "again"),
    ];
    let mut second = step("a", 2);
    second.money = vec![effect("a", "settle:a", "second")];
    tasks.append(vec![first]).await.unwrap();
    tasks.money_submitted("settle:a").await.unwrap();
    tasks.append(vec![second]).await.unwrap();
    let mut kept = effect("a", "settle:a", "first");
    kept.step = MoneyStep::Submitted;
    assert_eq!(tasks.money(id("a")).await.unwrap(), [kept]);
}

pub(crate) async fn effects_only_move_forward(home: &Home) {
    let tasks = home.store.tasks();
    let mut new = task("a");
    new.money = vec![effect("a", "pay:a", "x"), effect("a", "settle:a", "y")];
    tasks.create(new).await.unwrap();
    tasks.money_submitted("pay:a").await.unwrap();
    tasks.money_submitted("pay:a").await.unwrap();
    let steps: Vec<_> = tasks
        .money(id("a"))
        .await
        .unwrap()
        .into_iter()
        .map(|effect| effect.step)
        .collect();
    assert_eq!(steps, [MoneyStep::Submitted, MoneyStep::Planned]);
    tasks.money_final("pay:a", "confirmed").await.unwrap();
    tasks.money_submitted("pay:a").await.unwrap();
    let open: Vec<_> = tasks
        .money(id("a"))
        .await
        .unwrap()
        .into_iter()
        .map(|effect| effect.key)
        .collect();
    assert_eq!(open, ["settle:a"]);
    for unknown in [
        tasks.money_submitted("pay:b").await,
        tasks.money_final("pay:b", "confirmed").await,
    ] {
        assert!(
            matches!(unknown, Err(StoreError::Broken { .. })),
            "{unknown:?}"
        );
    }
}

pub(crate) async fn the_first_outcome_stands(home: &Home) {
    let tasks = home.store.tasks();
    let mut new = task("a");
    new.money = vec![effect("a", "pay:a", "x")];
    tasks.create(new).await.unwrap();
    tasks.money_final("pay:a", "confirmed").await.unwrap();
    tasks.money_final("pay:a", "refused").await.unwrap();
    assert_eq!(tasks.money(id("a")).await.unwrap(), []);
    // Planning it again does not bring it back.
    let mut again = step("a", 1);
    again.money = vec![effect("a", "pay:a", "x")];
    assert_eq!(
        tasks.append(vec![again]).await.unwrap(),
        [StepOutcome::Stored]
    );
    assert_eq!(tasks.money(id("a")).await.unwrap(), []);
    assert!(matches!(
        tasks.money_final("pay:a", "").await,
        Err(StoreError::Broken { .. })
    ));
}

pub(crate) async fn a_key_of_another_task_is_broken(home: &Home) {
    let tasks = home.store.tasks();
    create_all(&*tasks, &["a".to_owned(), "b".to_owned()]).await;
    let mut mine = step("a", 1);
    mine.money = vec![effect("a", "pay", "x")];
    let mut stolen = step("b", 1);
    stolen.money = vec![effect("b", "pay", "x")];
    let both = tasks.append(vec![mine.clone(), stolen.clone()]).await;
    assert!(matches!(both, Err(StoreError::Broken { .. })), "{both:?}");
    assert_eq!(
        tasks.append(vec![mine]).await.unwrap(),
        [StepOutcome::Stored]
    );
    let second = tasks.append(vec![stolen]).await;
    assert!(
        matches!(second, Err(StoreError::Broken { .. })),
        "{second:?}"
    );
    let mut mislabelled = step("b", 1);
    mislabelled.money = vec![effect("a", "other", "x")];
    let mislabelled = tasks.append(vec![mislabelled]).await;
    assert!(
        matches!(mislabelled, Err(StoreError::Broken { .. })),
        "{mislabelled:?}"
    );
    assert_eq!(tasks.journal(id("b")).await.unwrap().len(), 1);
    assert_eq!(tasks.money(id("b")).await.unwrap(), []);
}

pub(crate) async fn steps_that_conflict_plan_no_money(home: &Home) {
    let tasks = home.store.tasks();
    tasks.create(task("a")).await.unwrap();
    tasks.append(vec![step("a", 1)]).await.unwrap();
    let mut lost = step("a", 1);
    lost.money = vec![effect("a", "settle:a", "x")];
    assert_eq!(
        tasks.append(vec![lost]).await.unwrap(),
        [StepOutcome::Conflict]
    );
    let mut taken = task("a");
    taken.money = vec![effect("a", "pay:a", "x")];
    tasks.create(taken).await.unwrap();
    assert_eq!(tasks.money(id("a")).await.unwrap(), []);
}
