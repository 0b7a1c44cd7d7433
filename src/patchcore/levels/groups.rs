//! OK images that are near-copies of each other: several frames of one part, or one picture saved twice.

use tch::{Kind, TchError, Tensor};

/// Images are compared on a grid of so many places each way …
const PLACES: i64 = 8;
/// … with the values on so many axes, which have most of the variance.
const AXES: i64 = 32;
/// Images nearer to each other than this share of the median distance of all pairs are near-copies.
const NEAR: f32 = 0.2;

/// What an image looks like from afar: `[8 * 8 * 32]` or fewer values, out of its patches `[height * width, K]`.
pub(super) fn look(patches: &Tensor, height: i64, width: i64) -> Result<Tensor, TchError> {
    let (_, values) = patches.size2()?;
    let kept = patches.f_narrow(1, 0, values.min(AXES))?;
    let map = kept.f_view([1, height, width, values.min(AXES)])?.f_permute([0, 3, 1, 2])?;
    map.f_adaptive_avg_pool2d([PLACES, PLACES])?.f_flatten(0, -1)?.f_to_device(tch::Device::Cpu)
}

/// The group of each image as a number, from 0 in the order of their first image: near-copies, and near-copies of near-copies, share one.
pub(super) fn near_copies(looks: &[Tensor]) -> Result<Vec<u32>, TchError> {
    let count = looks.len();
    if count < 3 {
        // One distance says nothing about which distances are small.
        return Ok((0..count as u32).collect());
    }
    let all = Tensor::f_stack(looks, 0)?.f_to_kind(Kind::Double)?;
    let squares = all.f_square()?.f_sum_dim_intlist([1].as_slice(), true, Kind::Double)?;
    let squared = squares.f_add(&squares.f_tr()?)?.f_sub(&all.f_matmul(&all.f_tr()?)?.f_mul_scalar(2.0)?)?;
    let distances = Vec::<f32>::try_from(squared.f_clamp_min(0.0)?.f_sqrt()?.f_to_kind(Kind::Float)?.f_flatten(0, -1)?)?;
    let pairs = || (0..count).flat_map(|first| (first + 1..count).map(move |second| (first, second)));
    let mut of_pairs: Vec<f32> = pairs().map(|(first, second)| distances[first * count + second]).collect();
    let middle = of_pairs.len() / 2;
    let (_, median, _) = of_pairs.select_nth_unstable_by(middle, f32::total_cmp);
    let near = NEAR * *median;
    let mut group: Vec<usize> = (0..count).collect();
    for (first, second) in pairs() {
        if distances[first * count + second] < near {
            let (kept, joined) = (group[first].min(group[second]), group[first].max(group[second]));
            group.iter_mut().filter(|group| **group == joined).for_each(|group| *group = kept);
        }
    }
    let mut numbers = std::collections::HashMap::new();
    let numbered = group.into_iter().map(|group| {
        let next = numbers.len() as u32;
        *numbers.entry(group).or_insert(next)
    });
    Ok(numbered.collect())
}

/// The groups of more than one image, by the names of their images.
pub(super) fn named(groups: &[u32], names: &[&str]) -> Vec<Vec<String>> {
    let mut members: std::collections::BTreeMap<u32, Vec<String>> = std::collections::BTreeMap::new();
    for (group, name) in groups.iter().zip(names) {
        members.entry(*group).or_default().push((*name).to_owned());
    }
    members.into_values().filter(|members| members.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(values: &[[f32; 2]]) -> Vec<Tensor> {
        values.iter().map(|value| Tensor::f_from_slice(value).unwrap()).collect()
    }

    #[test]
    fn near_copies_share_a_group() {
        let apart = [[0.0, 0.0], [10.0, 0.0], [0.1, 0.0], [0.0, 10.0], [10.0, 0.2], [0.2, 0.1]];
        assert_eq!(near_copies(&looks(&apart)).unwrap(), [0, 1, 0, 2, 1, 0]);
        let names = ["a", "b", "c", "d", "e", "f"];
        assert_eq!(named(&[0, 1, 0, 2, 1, 0], &names), [vec!["a", "c", "f"], vec!["b", "e"]]);
    }

    #[test]
    fn parts_that_are_all_alike_are_no_copies() {
        assert_eq!(near_copies(&looks(&[[1.0, 2.0]; 5])).unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(near_copies(&looks(&[[0.0, 0.0], [1.0, 0.0], [0.5, 0.9], [0.5, 0.3]])).unwrap(), [0, 1, 2, 3]);
        assert_eq!(near_copies(&looks(&[[0.0, 0.0], [1.0, 0.0]])).unwrap(), [0, 1]);
        assert_eq!(near_copies(&[]).unwrap(), [0_u32; 0]);
    }

    #[test]
    fn a_look_has_one_size_whatever_the_picture() {
        for (height, width) in [(3, 40), (64, 64)] {
            let patches = Tensor::f_ones([height * width, 128], (Kind::Float, tch::Device::Cpu)).unwrap();
            assert_eq!(look(&patches, height, width).unwrap().size(), [PLACES * PLACES * AXES]);
        }
    }
}
