//! The costs as bars.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::Report;

/// Width, and height of a bar with what is around it, in pixels.
const WIDTH: u32 = 900;
const ROW: u32 = 26;
/// Where bars begin and how much is left for titles.
const LABELS: u32 = 280;
const AROUND: u32 = 110;

/// Draws what each case adds, with its interval, on a logarithmic scale.
pub fn costs(file: &Path, report: &Report<'_>) -> Result<()> {
    let bars: Vec<_> = report.added().collect();
    let rows = u32::try_from(bars.len())?;
    let most = bars.iter().map(|(_, added)| added.high).fold(10.0, f64::max) * 2.0;
    let area = SVGBackend::new(file, (WIDTH, rows * ROW + AROUND)).into_drawing_area();
    draw(&area, &bars, f64::from(rows), most, &report.title()).map_err(|error| anyhow!("{}: {error}", file.display()))
}

fn draw(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    bars: &[(&str, crate::statistics::Estimate)],
    rows: f64,
    most: f64,
    title: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 13))
        .margin(10)
        .x_label_area_size(45)
        .y_label_area_size(LABELS)
        .build_cartesian_2d((1.0..most).log_scale(), rows..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_desc("CPU of Envoy's worker per request over a direct response, in microseconds")
        .draw()?;
    for (number, (name, added)) in bars.iter().enumerate() {
        let top = number as f64;
        let color = if name.starts_with("portcullis") { RGBColor(46, 94, 170) } else { RGBColor(150, 150, 150) };
        let (value, low, high) = (added.value.max(1.0), added.low.max(1.0), added.high.max(1.0));
        chart.draw_series([Rectangle::new([(1.0, top + 0.15), (value, top + 0.85)], color.filled())])?;
        chart.draw_series([PathElement::new([(low, top + 0.5), (high, top + 0.5)], BLACK)])?;
        let (x, y) = chart.backend_coord(&(1.0, top + 0.5));
        area.draw(&Text::new(
            format!("{name}  {:.1}", added.value),
            (x - LABELS as i32 + 5, y - 6),
            ("sans-serif", 12),
        ))?;
    }
    area.present()?;
    Ok(())
}
