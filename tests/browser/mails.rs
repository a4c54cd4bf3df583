//! The HTML of every mail, as a mail program shows it.

use serde_json::json;

use super::chromium::{Chromium, Scripts, serve_on_other_origin};
use crate::app::TestApp;
use crate::mailbox;
use crate::pages::mail::{ALL_MAIL, send_every_mail};

#[tokio::test]
#[ignore = "needs Chromium and chromedriver; tests/run includes it"]
async fn every_mail_fits_320_pixels_and_has_enough_contrast() {
    let app = TestApp::start_with(&ALL_MAIL).await;
    send_every_mail(&app).await;
    let browser = Chromium::start(&app, Scripts::On).await;
    let mut buttons = 0;
    for mail in mailbox::mails(&app) {
        let url = serve_on_other_origin(&mail.html).await;
        browser.client.goto(&url).await.unwrap();
        browser.assert_layout_and_contrast().await;
        for (scheme, is_dark) in [("light", false), ("dark", true)] {
            let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            browser.devtools("Emulation.setEmulatedMedia", features).await;
            let background = "return getComputedStyle(document.querySelector('.page')).backgroundColor";
            let expected = if is_dark { "rgb(23, 31, 27)" } else { "rgb(255, 255, 255)" };
            assert_eq!(browser.run(background).await, expected, "{} in {scheme}", mail.subject);
        }
        // Several mail programs drop the font and padding of <a> and <body>, and the styles of the head.
        let stripped = "document.querySelectorAll('style').forEach((style) => style.remove());
            document.querySelectorAll('a, body').forEach((element) => element.removeAttribute('style'));
            return [...document.querySelectorAll('.button')].map((cell) => {
              const label = cell.querySelector('a > span');
              const style = getComputedStyle(label);
              return [cell.tagName, style.fontSize, style.paddingTop, cell.getBoundingClientRect().height >= 44,
                cell.closest('table').querySelectorAll('td').length];
            })";
        let shown = browser.run(stripped).await;
        for button in shown.as_array().unwrap() {
            buttons += 1;
            assert_eq!(*button, json!(["TD", "16px", "12px", true, 1]), "{}", mail.subject);
        }
    }
    assert!(buttons > 10, "{buttons} buttons");
    browser.close().await;
}
