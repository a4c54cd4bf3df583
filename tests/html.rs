//! Checks of HTML documents.

use std::collections::HashMap;

use scraper::{ElementRef, Html, Selector};

/// Text that breaks out of every unescaped context, and then creates an element with a unique name.
pub const HOSTILE: &str = "\"'><hostile-element onclick=x>&lt;</title></textarea></select></script>";

fn all<'a>(document: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    document.select(&Selector::parse(selector).unwrap()).collect()
}

fn all_in<'a>(element: ElementRef<'a>, selector: &str) -> Vec<ElementRef<'a>> {
    element.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(element: ElementRef) -> String {
    element.text().collect::<String>().trim().to_owned()
}

/// The faults of a document, one line each.
pub fn faults(html: &str) -> Vec<String> {
    let document = Html::parse_document(html);
    let mut faults: Vec<String> = document.errors.iter().map(|error| format!("not well-formed: {error}")).collect();
    let mut check = |is_met: bool, what: String| {
        if !is_met {
            faults.push(what);
        }
    };
    check(html.starts_with("<!doctype html>"), "no doctype".to_owned());
    let texts_of = |selector| all(&document, selector).into_iter().map(text).collect::<Vec<_>>();
    for (selector, what) in [("head > title", "title"), ("body h1", "h1")] {
        let texts = texts_of(selector);
        check(texts.len() == 1 && !texts[0].is_empty(), format!("{what}: {texts:?}"));
    }
    check(all(&document, "html[lang=en]").len() == 1, "no language".to_owned());
    check(all(&document, "[autofocus]").len() <= 1, "two elements have autofocus".to_owned());
    check(all(&document, "hostile-element").is_empty(), "unescaped text".to_owned());
    let mut ids: HashMap<&str, usize> = HashMap::new();
    for element in all(&document, "*") {
        let element = element.value();
        for (name, value) in element.attrs() {
            let at = format!("<{} {name}={value:?}>", element.name());
            check(!name.starts_with("on"), format!("script in an attribute: {at}"));
            check(!value.starts_with("javascript:"), format!("script in an address: {at}"));
            check(
                !(["href", "src", "action", "id", "for", "name"].contains(&name) && value.is_empty()),
                format!("empty: {at}"),
            );
        }
        if let Some(id) = element.id() {
            *ids.entry(id).or_default() += 1;
        }
    }
    for (id, count) in &ids {
        check(*count == 1, format!("{count} elements have the id {id:?}"));
    }
    for name in ["for", "aria-describedby", "aria-labelledby"] {
        for element in all(&document, &format!("[{name}]")) {
            for id in element.attr(name).unwrap().split_whitespace() {
                check(ids.contains_key(id), format!("{name}={id:?} names no element"));
            }
        }
    }
    for link in all(&document, "a") {
        let href = link.attr("href").unwrap_or_default();
        check(!href.is_empty(), format!("a link without a target: {:?}", text(link)));
        check(href.strip_prefix('#').is_none_or(|id| ids.contains_key(id)), format!("{href} has no target"));
        let has_image_text = !all_in(link, "img[alt]:not([alt=''])").is_empty();
        check(!text(link).is_empty() || has_image_text, format!("a link without text to {href}"));
    }
    for field in all(&document, "input:not([type=hidden]):not([hidden]), select, textarea") {
        let labels = field.value().id().map_or(0, |id| all(&document, &format!("label[for={id:?}]")).len());
        check(labels == 1 || field.attr("aria-label").is_some(), format!("{} labels for {:?}", labels, field.html()));
        check(field.attr("name").is_some(), format!("a field without a name: {:?}", field.html()));
    }
    for button in all(&document, "button") {
        check(!text(button).is_empty(), format!("a button without text: {:?}", button.html()));
    }
    for heading in all(&document, "h1, h2, h3, th, summary, caption") {
        check(!text(heading).is_empty(), format!("a heading without text: {:?}", heading.html()));
    }
    for part in all(&document, "table [role]:not([role=presentation]), table[role]:not([role=presentation])") {
        check(false, format!("a role within a table: {}", part.value().name()));
    }
    for cell in all(&document, "th") {
        check(cell.attr("scope").is_some(), format!("a header cell without scope: {:?}", cell.html()));
    }
    // A mail has none.
    let is_page = !all(&document, "link[rel=stylesheet]").is_empty();
    check(!is_page || all(&document, "head > meta[name=description]").len() == 1, "no meta description".to_owned());
    // Text browsers join the words.
    for (end, start) in [("</span><", "span"), ("</a><", "a"), ("</time><", "time"), ("</strong><", "span")] {
        check(!html.contains(&format!("{end}{start}")), format!("no space between {end}{start}"));
    }
    for image in all(&document, "img") {
        check(image.attr("alt").is_some(), format!("an image without alt: {:?}", image.html()));
    }
    faults
}

#[test]
fn html_check_finds_each_kind_of_error() {
    let page = |title: &str, body: &str| {
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><title>{title}</title><meta name=\"description\" content=\"d\"><link rel=\"stylesheet\" href=\"/s\"></head><body>{body}</body></html>"
        )
    };
    assert_eq!(
        faults(&page("A", "<h1>A</h1><table><tbody><tr><th scope=\"row\">a<td>b</table>")),
        Vec::<String>::new()
    );
    let good = "<h1>A</h1>";
    for (html, fault) in [
        (page("", good), "title"),
        (page("A", "<h1>A</h1><h1>B</h1>"), "h1"),
        (page("A", &format!("{good}<div><section></div>")), "not well-formed"),
        (page("A", &format!("{good}<p><div></div></p>")), "not well-formed"),
        (page("A", &format!("{good}<div>")), "not well-formed"),
        (page("A", &format!("{good}</span>")), "not well-formed"),
        (page("A", &format!("{good}<table><p>a</p></table>")), "not well-formed"),
        (page("A", &format!("{good}<p a=1 a=2>")), "not well-formed"),
        (page("A", &format!("{good}<p>{HOSTILE}")), "unescaped text"),
        (page("A", &format!("{good}<p onclick=\"x\">")), "script in an attribute"),
        (page("A", &format!("{good}<a href=\"\">x</a>")), "a link without a target"),
        (page("A", &format!("{good}<a href=\"/x\"></a>")), "a link without text"),
        (page("A", &format!("{good}<a href=\"#x\">x</a>")), "has no target"),
        (page("A", &format!("{good}<form action=\"\"></form>")), "empty"),
        (page("A", &format!("{good}<input name=\"x\" id=\"x\">")), "0 labels"),
        (page("A", &format!("{good}<label for=\"x\">X</label>")), "names no element"),
        (page("A", &format!("{good}<p id=\"x\"></p><p id=\"x\"></p>")), "2 elements have the id"),
        (page("A", &format!("{good}<button></button>")), "a button without text"),
        (page("A", &format!("{good}<img src=\"/x\">")), "without alt"),
        (page("A", &format!("{good}<h2></h2>")), "a heading without text"),
        (page("A", &format!("{good}<table><tbody><tr><th>a<td>b</table>")), "without scope"),
        (page("A", &format!("{good}<table role=\"table\"><tbody><tr><td>b</table>")), "a role within a table"),
        (page("A", &format!("{good}<p><span>a</span><span>b</span>")), "no space between"),
        (page("A", good).replace("description", "author"), "no meta description"),
    ] {
        let found = faults(&html);
        assert!(found.iter().any(|found| found.contains(fault)), "{fault} is not found in {html}: {found:?}");
    }
}
