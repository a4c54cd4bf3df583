//! The results as an SVG chart: requests per second of each case, a bar for each server.

use std::fmt::Write;

use crate::measure::{Results, Sample};
use crate::options::Name;
use crate::report::{cpu, p99, requests_per_second};

const WIDTH: usize = 900;
const MARGIN: usize = 20;
const LABELS: usize = 110;
/// The longest bar of each case. The figures are on its right.
const BAR: usize = 420;
const ROW: usize = 20;
const HEADING: usize = 36;

/// Text has a contrast of at least 4.5 to the background and bars of at least 3, in both colour schemes.
const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #1c2420 }
.title { font-size: 16px; font-weight: 600 }
.case { font-weight: 600 }
.figures { fill: #4a5650; font-variant-numeric: tabular-nums }
.background { fill: #ffffff }
.program { fill: #1f7a4d }
.other { fill: #7b8780 }
@media (prefers-color-scheme: dark) {
text { fill: #e6ece8 }
.figures { fill: #aab5ae }
.background { fill: #171f1b }
.program { fill: #4cc38a }
.other { fill: #7b8780 }
}
";

pub fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut y = MARGIN + 16;
    writeln!(body, "<text class=\"title\" x=\"{MARGIN}\" y=\"{y}\">Requests per second</text>").unwrap();
    for case in results.cases() {
        y += HEADING;
        writeln!(body, "<text class=\"case\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", case.title()).unwrap();
        let rows: Vec<_> = results.samples_of(case).map(|(name, _)| name).collect();
        let value = |name, value: fn(&Sample) -> f64| results.value(case, name, value).unwrap_or(0.0);
        let largest = rows.iter().map(|name| value(*name, requests_per_second)).fold(1.0, f64::max);
        for name in rows {
            y += ROW;
            let requests = value(name, requests_per_second);
            let figures = format!(
                "{requests:.0}/s, p99 {:.1} ms, {:.0} µs of processor time",
                value(name, p99),
                value(name, cpu)
            );
            let width = BAR as f64 * requests / largest;
            let (class, bar) = (if name == Name::OrderPortal { "program" } else { "other" }, MARGIN + LABELS);
            let (top, after) = (y - 12, bar as f64 + width + 8.0);
            writeln!(
                body,
                "<text x=\"{MARGIN}\" y=\"{y}\">{}</text>\
                 <rect class=\"{class}\" x=\"{bar}\" y=\"{top}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"/>\
                 <text class=\"figures\" x=\"{after:.1}\" y=\"{y}\">{figures}</text>",
                name.label()
            )
            .unwrap();
        }
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Requests per second of order-portal and other servers\">\n<style>{STYLE}</style>\n\
         <rect class=\"background\" width=\"{WIDTH}\" height=\"{height}\"/>\n{body}</svg>\n"
    )
}
