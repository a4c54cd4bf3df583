//! The results as an SVG chart: requests per second of each case and memory, a bar for each server.

use std::fmt::Write;

use crate::cases::Case;
use crate::measure::{Memory, Results, Sample};
use crate::options::Name;
use crate::report::{cpu, median, p50, p99, requests_per_second};

const WIDTH: usize = 900;
const MARGIN: usize = 20;
const LABELS: usize = 110;
/// The longest bar of each group. The figures are on its right.
const BAR: f64 = 420.0;
const ROW: usize = 20;
const HEADING: usize = 36;

/// Text has a contrast of at least 4.5 to the background and bars of at least 3, in both colour schemes.
const STYLE: &str = "
text { font: 13px system-ui, sans-serif; fill: #1c2420 }
.title { font-size: 16px; font-weight: 600 }
.group { font-weight: 600 }
.figures { fill: #4a5650; font-variant-numeric: tabular-nums }
.background { fill: #ffffff }
.program { fill: #1f7a4d }
.other { fill: #7b8780 }
@media (prefers-color-scheme: dark) {
text { fill: #e6ece8 }
.figures { fill: #aab5ae }
.background { fill: #171f1b }
.program { fill: #4cc38a }
}
";

struct Bar {
    name: Name,
    value: f64,
    figures: String,
}

pub fn svg(results: &Results) -> String {
    let mut chart = Chart { body: String::new(), y: MARGIN };
    chart.text("title", MARGIN, 16, "Requests per second");
    for case in results.cases() {
        let bars: Vec<Bar> = results.samples_of(case).map(|(name, _)| case_bar(results, case, name)).collect();
        chart.group(case.title(), &bars);
    }
    let memory: Vec<Bar> = results.memory.iter().map(|(name, memory)| memory_bar(*name, memory)).collect();
    if !memory.is_empty() {
        chart.text("title", MARGIN, HEADING, "Memory");
        chart.group("PSS of all processes after these cases", &memory);
    }
    let height = chart.y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Requests per second and memory of order-portal and other servers\">\n<style>{STYLE}</style>\n\
         <rect class=\"background\" width=\"{WIDTH}\" height=\"{height}\"/>\n{}</svg>\n",
        chart.body
    )
}

fn case_bar(results: &Results, case: Case, name: Name) -> Bar {
    let of = |value: fn(&Sample) -> f64| results.value(case, name, value).unwrap_or(0.0);
    let mut figures = format!("{:.0}/s, p50 {:.1} ms, p99 {:.1} ms", of(requests_per_second), of(p50), of(p99));
    // In a storm the server's time goes into the logins.
    if case != Case::Storm {
        write!(figures, ", {:.0} µs CPU", of(cpu)).unwrap();
    }
    Bar { name, value: of(requests_per_second), figures }
}

fn memory_bar(name: Name, memory: &[Memory]) -> Bar {
    let loaded = median(memory.iter().map(|memory| memory.loaded_mib));
    let idle = median(memory.iter().map(|memory| memory.idle_mib));
    Bar { name, value: loaded, figures: format!("{loaded:.0} MiB, idle {idle:.0} MiB") }
}

struct Chart {
    body: String,
    /// The baseline of the last line of text.
    y: usize,
}

impl Chart {
    fn group(&mut self, title: &str, bars: &[Bar]) {
        self.text("group", MARGIN, HEADING, title);
        let largest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        for Bar { name, value, figures } in bars {
            self.text("server", MARGIN, ROW, &name.label());
            let class = if *name == Name::OrderPortal { "program" } else { "other" };
            let (left, top, width) = (MARGIN + LABELS, self.y - 12, BAR * value / largest);
            let bar = format!("class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width:.1}\" height=\"14\" rx=\"2\"");
            let after = left as f64 + width + 8.0;
            let y = self.y;
            writeln!(self.body, "<rect {bar}/>\n<text class=\"figures\" x=\"{after:.1}\" y=\"{y}\">{figures}</text>")
                .unwrap();
        }
    }

    fn text(&mut self, class: &str, x: usize, below: usize, text: &str) {
        self.y += below;
        writeln!(self.body, "<text class=\"{class}\" x=\"{x}\" y=\"{}\">{text}</text>", self.y).unwrap();
    }
}
