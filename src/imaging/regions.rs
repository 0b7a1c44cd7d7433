//! Connected regions of a mask, 8-connectivity: pixels that touch at a corner belong together.

/// A horizontal run of mask pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Row.
    pub y: usize,
    /// First column.
    pub start: usize,
    /// Column after the last.
    pub end: usize,
    /// The region it belongs to, 0..regions.
    pub region: usize,
}

/// The regions of a mask as runs in reading order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Regions {
    /// Every run of the mask.
    pub runs: Vec<Run>,
    /// Pixels of each region; its length is the number of regions.
    pub areas: Vec<u64>,
}

/// Finds the regions of `mask`, with rows of `width` pixels, where every value but 0 is set. Time and memory grow with the set pixels.
pub fn regions(mask: &[u8], width: usize) -> Regions {
    let mut runs: Vec<Run> = Vec::new();
    let mut parent: Vec<usize> = Vec::new();
    let mut above = 0..0;
    for (y, row) in mask.chunks_exact(width.max(1)).enumerate() {
        let first = runs.len();
        let mut x = 0;
        while let Some(start) = row[x..].iter().position(|&v| v != 0).map(|i| x + i) {
            let end = row[start..].iter().position(|&v| v == 0).map_or(width, |i| start + i);
            let own = parent.len();
            parent.push(own);
            // Runs of the row above that touch this one, also at a corner. A run that ends before it touches no later one either.
            while above.start < above.end && runs[above.start].end < start {
                above.start += 1;
            }
            for other in runs[above.clone()].iter().take_while(|other| other.start <= end) {
                join(&mut parent, own, other.region);
            }
            runs.push(Run { y, start, end, region: own });
            x = end;
        }
        above = first..runs.len();
    }
    number(runs, &mut parent)
}

fn root(parent: &mut [usize], mut i: usize) -> usize {
    while parent[i] != i {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    i
}

fn join(parent: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parent, a), root(parent, b));
    // The smaller number wins, so regions are numbered in reading order.
    parent[a.max(b)] = a.min(b);
}

fn number(mut runs: Vec<Run>, parent: &mut [usize]) -> Regions {
    let mut areas: Vec<u64> = Vec::new();
    let mut numbers = vec![usize::MAX; parent.len()];
    for run in &mut runs {
        let root = root(parent, run.region);
        if numbers[root] == usize::MAX {
            numbers[root] = areas.len();
            areas.push(0);
        }
        run.region = numbers[root];
        areas[run.region] += (run.end - run.start) as u64;
    }
    Regions { runs, areas }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(rows: &[&str]) -> (Vec<u8>, usize) {
        (rows.concat().bytes().map(|b| if b == b'#' { 255 } else { 0 }).collect(), rows[0].len())
    }

    #[test]
    fn corners_join_and_gaps_part() {
        let (mask, width) = parse(&["#...##", ".#....", "..#..#", "#....#"]);
        let found = regions(&mask, width);
        assert_eq!(found.areas, [3, 2, 2, 1]);
    }

    #[test]
    fn arms_that_meet_below_are_one_region() {
        let (mask, width) = parse(&["#.#.#", "#.#.#", "#####", ".....", "#####"]);
        assert_eq!(regions(&mask, width).areas, [11, 5]);
        assert_eq!(regions(&[], 0), Regions::default());
    }

    /// Flood fill, pixel by pixel.
    fn by_flood(mask: &[u8], width: usize) -> Vec<u64> {
        let height = mask.len() / width;
        let mut left = mask.to_vec();
        let mut areas = Vec::new();
        for i in 0..left.len() {
            let mut stack = vec![i];
            let mut area = 0;
            while let Some(j) = stack.pop() {
                if std::mem::take(&mut left[j]) == 0 {
                    continue;
                }
                area += 1;
                let (x, y) = (j % width, j / width);
                for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    stack.extend((x.saturating_sub(1)..=(x + 1).min(width - 1)).map(|nx| ny * width + nx));
                }
            }
            if area > 0 {
                areas.push(area);
            }
        }
        areas
    }

    proptest! {
        #[test]
        fn agrees_with_a_flood_fill(width in 1usize..12, pixels in prop::collection::vec(prop::bool::ANY, 0..120)) {
            let height = pixels.len() / width;
            let mask: Vec<u8> = pixels[..width * height].iter().map(|&b| u8::from(b)).collect();
            let found = regions(&mask, width);
            prop_assert_eq!(&found.areas, &by_flood(&mask, width));
            let mut painted = vec![0; mask.len()];
            for run in &found.runs {
                painted[run.y * width + run.start..run.y * width + run.end].fill(1);
            }
            prop_assert_eq!(painted, mask);
        }
    }
}
