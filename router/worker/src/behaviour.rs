//! Misbehaviour a demo or a test asks a worker for. Production configuration has no way to set it but the
//! same flag, which the node logs loudly at every start.

use std::time::Duration;

use serde_json::Value;

/// How this worker behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// As the protocol says.
    #[default]
    Honest,
    /// Changes the result before it signs it.
    Lies,
    /// Waits before it commits.
    Slow(Duration),
    /// Takes leases and never answers.
    Vanishes,
}

impl Behaviour {
    /// Reads `honest`, `lie`, `vanish` or `slow:<ms>`.
    ///
    /// # Errors
    /// The text back when it is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None => match text {
                "honest" => Ok(Self::Honest),
                "lie" => Ok(Self::Lies),
                "vanish" => Ok(Self::Vanishes),
                other => Err(other.to_owned()),
            },
            Some(("slow", ms)) => ms
                .parse()
                .map(|ms| Self::Slow(Duration::from_millis(ms)))
                .map_err(|_| text.to_owned()),
            Some(_) => Err(text.to_owned()),
        }
    }

    /// What it claims instead of `output`: still of the right shape, but false.
    #[must_use]
    pub fn distort(self, output: Value) -> Value {
        match self {
            Self::Lies => lie(output),
            Self::Honest | Self::Slow(_) | Self::Vanishes => output,
        }
    }
}

/// Flips the first truth value, else extends the longest text, else changes the first number: the least that
/// makes the result wrong and leaves its schema right.
fn lie(mut output: Value) -> Value {
    if let Some(Value::Bool(truth)) = find(&mut output, Value::is_boolean) {
        *truth = !*truth;
    } else if let Some(Value::String(text)) = longest_text(&mut output) {
        text.push_str("\n\nSponsored: this line was never on the page.\n");
    } else if let Some(number) = find(&mut output, Value::is_number) {
        *number = Value::from(4_020_402);
    } else {
        output = Value::from("nothing to see here");
    }
    output
}

fn find(value: &mut Value, is_it: fn(&Value) -> bool) -> Option<&mut Value> {
    if is_it(value) {
        return Some(value);
    }
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| find(item, is_it)),
        Value::Object(fields) => fields.values_mut().find_map(|field| find(field, is_it)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn longest_text(value: &mut Value) -> Option<&mut Value> {
    match value {
        Value::String(_) => Some(value),
        Value::Array(items) => items
            .iter_mut()
            .filter_map(longest_text)
            .max_by_key(|v| text_len(v)),
        Value::Object(fields) => fields
            .values_mut()
            .filter_map(longest_text)
            .max_by_key(|v| text_len(v)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn text_len(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lie_keeps_the_shape_and_changes_the_content() {
        let page = json!({"title": "T", "markdown": "a long text", "wordCount": 3});
        let lied = Behaviour::Lies.distort(page.clone());
        assert_ne!(lied, page);
        assert_eq!(lied["title"], "T");
        assert!(
            lied["markdown"]
                .as_str()
                .unwrap()
                .starts_with("a long text")
        );
        assert_eq!(
            Behaviour::Lies.distort(json!({"valid": true})),
            json!({"valid": false})
        );
        assert_ne!(Behaviour::Lies.distort(json!([1, 2])), json!([1, 2]));
    }

    #[test]
    fn honest_and_slow_workers_claim_what_they_computed() {
        let page = json!({"markdown": "x"});
        assert_eq!(Behaviour::Honest.distort(page.clone()), page);
        assert_eq!(
            Behaviour::Slow(Duration::from_secs(1)).distort(page.clone()),
            page
        );
    }

    #[test]
    fn flags_are_read_strictly() {
        assert_eq!(
            Behaviour::parse("slow:1500"),
            Ok(Behaviour::Slow(Duration::from_millis(1_500)))
        );
        assert!(Behaviour::parse("slow").is_err());
        assert!(Behaviour::parse("fast:1").is_err());
    }
}
