//! Text tables as podman prints them: columns at least 12 wide, two spaces between, nothing after the last.
//!
//! Cells hold what images and other people's stores say: control characters in them are shown as `\u{1b}`.

use super::ui;

/// Go's tabwriter in podman: minimum width and padding.
const MIN_WIDTH: usize = 12;
const PADDING: usize = 2;

/// Lays out rows of equal length; an empty slice gives an empty string.
pub fn render(rows: &[Vec<String>]) -> String {
    let cells = |row: &Vec<String>| row.iter().map(|cell| ui::plain(cell, &[]).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let longest = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        (longest.unwrap_or(0) + PADDING).max(MIN_WIDTH)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (at, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if at + 1 < row.len() {
                let padding = widths.get(at).copied().unwrap_or(0).saturating_sub(cell.chars().count());
                text.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_as_in_podman() {
        let rows = [vec!["CONTAINER ID", "IMAGE", "NAMES"], vec!["e3bc67a7ac09", "localhost/t:1", "c1"]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        assert_eq!(render(&rows), "CONTAINER ID  IMAGE          NAMES\ne3bc67a7ac09  localhost/t:1  c1\n");
    }
}
