use super::*;
use crate::page::extract;

fn refused(html: &str) -> Option<RefusalCode> {
    extract(html, None).err().map(|refusal| refusal.code)
}

fn long_text() -> String {
    "<p>The tide comes in twice a day and leaves again, and the boats in the harbour lie on the mud between.</p>"
        .repeat(30)
}

#[test]
fn challenges_and_puzzles_are_captchas() {
    for html in [
        "<title>Just a moment...</title><p>Verify that you are human<script>window._cf_chl_opt={}</script>",
        "<title>shop</title><div class='h-captcha'></div><p>We need to make sure you’re not a robot",
        "<div id='px-captcha'></div><p>Press and hold to confirm you are human",
        "<form><div class=g-recaptcha></div></form>Our systems have detected unusual traffic from your network",
    ] {
        assert_eq!(refused(html), Some(RefusalCode::Captcha), "{html}");
    }
}

#[test]
fn refusals_are_blocked() {
    for html in [
        "<title>Access Denied</title><h1>Access Denied</h1>You don't have permission to access \"http://x/\" on this server.",
        "<title>x</title><p>Sorry, you have been blocked. You are unable to access x.example",
        "<title>Just a moment...</title><p>Please wait",
    ] {
        assert_eq!(refused(html), Some(RefusalCode::Blocked), "{html}");
    }
}

#[test]
fn teasers_and_login_forms_are_paywalls() {
    for html in [
        "<h1>News</h1><p>The minister said on Monday.</p><p>Subscribe to continue reading</p>",
        "<script type='application/ld+json'>{\"isAccessibleForFree\" : \"False\"}</script><h1>N</h1><p>The minister said so.</p>",
        "<h1>Members</h1><p>You must be logged in to view this page.</p><form><input type=password></form>",
    ] {
        assert_eq!(refused(html), Some(RefusalCode::Paywall), "{html}");
    }
}

#[test]
fn real_pages_with_one_of_the_signs_are_not_refused() {
    let long = long_text();
    for html in [
        // A contact form with a puzzle and little text.
        "<title>Contact</title><h1>Contact us</h1><p>Write to us, we answer within a day.</p><form><textarea></textarea><div class=g-recaptcha></div></form>".to_owned(),
        // A small page that speaks of robots.
        "<title>Robots</title><h1>Robots</h1><p>I am not a robot, said the robot, and bowed.</p>".to_owned(),
        // A title that a refusal has, with content.
        format!("<title>Access denied</title><h1>Access denied: a history</h1>{long}"),
        // A metered page that sends the whole text.
        format!("<script type='application/ld+json'>{{\"isAccessibleForFree\":false}}</script><article>{long}</article>"),
        // A shop with a login box.
        format!("<form><input type=password></form><main>{long}</main>"),
        // A real page behind a protector that injects its script.
        format!("<main>{long}</main><script src='/cdn-cgi/challenge-platform/h/g/scripts/jsd.js'></script>"),
        // A short page that mentions logging in, without a form.
        "<h1>Opening times</h1><p>Please log in to the library terminal before nine. We close at five.</p>".to_owned(),
    ] {
        assert_eq!(refused(&html), None, "{html}");
    }
}
