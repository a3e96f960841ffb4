//! The charts, as SVG on a ground of their own, so that they read the same on a light and on a dark page.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use plotters::coord::combinators::{BindKeyPoints, IntoLogRange};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::sample::{Interval, Side, digits};
use super::table::Row;
use super::workload::Aim;

const WIDTH: u32 = 860;
const ROW_HEIGHT: u32 = 28;
const CURVE_HEIGHT: u32 = 420;

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const GRID: RGBColor = RGBColor(0xd8, 0xde, 0xe4);
const UPROAR: RGBColor = RGBColor(0x09, 0x69, 0xda);
const YARDSTICK: RGBColor = RGBColor(0x8c, 0x66, 0x1f);
const AIM: RGBColor = RGBColor(0x1a, 0x7f, 0x37);

/// How a curve is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axes {
    pub(crate) title: &'static str,
    /// What is varied.
    pub(crate) x: &'static str,
    /// What is measured.
    pub(crate) y: &'static str,
    /// How a place on the x axis is written.
    pub(crate) x_text: fn(u64) -> String,
}

/// A figure over what was varied.
pub(crate) type Curve = Vec<(u64, Interval)>;

/// Each ratio with its interval on one line, the yardstick at 1.
pub(crate) fn ratios(rows: &[Row], path: &Path) -> Result<()> {
    let height = ROW_HEIGHT * u32::try_from(rows.len())? + 110;
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let ends = rows.iter().flat_map(|row| [row.ratio.min, row.ratio.max]);
    let (least, most) =
        ends.fold((0.8_f64, 1.25_f64), |(least, most), end| (least.min(end), most.max(end)));
    let x = least / 1.1..most * 1.1;
    let ticks = ticks(&x);
    let place = |index: usize| (rows.len() - 1 - index) as f64;
    let left = x.start;
    let mut chart = ChartBuilder::on(&root)
        .caption("Uproar over the yardstick: median and interval of the rounds", (FONT, 17, &INK))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(310)
        .build_cartesian_2d(x.log_scale().with_key_points(ticks), -0.6..rows.len() as f64 - 0.4)?;
    chart
        .configure_mesh()
        .x_desc("ratio; the line is the yardstick, a green mark what is aimed for")
        .x_label_formatter(&|ratio| digits(*ratio))
        .disable_y_axis()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style((FONT, 13, &INK))
        .draw()?;
    let line = |x: f64, bottom: f64, top: f64, color: RGBColor, width| {
        PathElement::new(vec![(x, bottom), (x, top)], color.stroke_width(width))
    };
    chart.draw_series([line(1.0, -0.6, rows.len() as f64 - 0.4, YARDSTICK, 2)])?;
    let anchor = Pos::new(HPos::Right, VPos::Center);
    let style = (FONT, 13).into_font().color(&INK).pos(anchor);
    for (index, row) in rows.iter().enumerate() {
        let (y, ratio) = (place(index), row.ratio);
        let (figure, against) = (row.measure.figure.label(), row.measure.against.label());
        let label = format!("{}: {figure} / {against}", row.workload);
        let beside = Text::new(label, (-10, 0), style.clone());
        chart.draw_series([EmptyElement::at((left, y)) + beside])?;
        if let Some(Aim::Most(aim) | Aim::Least(aim)) = row.measure.aim {
            chart.draw_series([line(aim, y - 0.32, y + 0.32, AIM, 3)])?;
        }
        chart.draw_series([PathElement::new(
            vec![(ratio.min, y), (ratio.max, y)],
            UPROAR.stroke_width(2),
        )])?;
        chart.draw_series([Circle::new((ratio.median, y), 5, UPROAR.filled())])?;
    }
    root.present()?;
    Ok(())
}

/// One curve for each side, with the interval at each place; both axes are logarithmic.
pub(crate) fn curves(axes: Axes, curves: &[(Side, Curve)], path: &Path) -> Result<()> {
    let root = SVGBackend::new(path, (WIDTH, CURVE_HEIGHT)).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || curves.iter().flat_map(|(_, curve)| curve);
    let xs: BTreeSet<_> = points().map(|(x, _)| *x).collect();
    let xs: Vec<_> = xs.into_iter().map(|x| x as f64).collect();
    let least = points().map(|(_, y)| y.min).fold(f64::INFINITY, f64::min);
    let most = points().map(|(_, y)| y.max).fold(0.0, f64::max);
    let (Some(first), Some(last)) = (xs.first(), xs.last()) else { return Ok(()) };
    let (x, y) = (first / 1.2..last * 1.2, least.min(1.0)..most * 1.2);
    let ticks = ticks(&y);
    let mut chart = ChartBuilder::on(&root)
        .caption(axes.title, (FONT, 17, &INK))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(
            x.log_scale().with_key_points(xs),
            y.log_scale().with_key_points(ticks),
        )?;
    chart
        .configure_mesh()
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_label_formatter(&|x| (axes.x_text)(*x as u64))
        .y_label_formatter(&|y| digits(*y))
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style((FONT, 13, &INK))
        .draw()?;
    for (side, curve) in curves {
        let color = if *side == Side::Uproar { UPROAR } else { YARDSTICK };
        let medians = curve.iter().map(|(x, y)| (*x as f64, y.median));
        chart
            .draw_series(LineSeries::new(medians, color.stroke_width(2)).point_size(4))?
            .label(side.label())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(curve.iter().map(|(x, y)| {
            let x = *x as f64;
            PathElement::new(vec![(x, y.min), (x, y.max)], color.stroke_width(1))
        }))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE)
        .border_style(GRID)
        .label_font((FONT, 13, &INK))
        .draw()?;
    root.present()?;
    Ok(())
}

/// 1, 2 and 5 times the powers of ten within that range.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let powers = (-3..=6).map(|power| 10_f64.powi(power));
    let ticks = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|first| first * power));
    ticks.filter(|tick| range.contains(tick)).collect()
}
