use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Non-negative like features behind a ReLU, so that norms are large against distances.
fn features(rows: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..rows * dim).map(|_| rng.random::<f32>()).collect()
}

fn tensor(values: &[f32], dim: usize) -> Tensor {
    Tensor::f_from_slice(values).unwrap().f_view([-1, dim as i64]).unwrap()
}

fn brute_force(queries: &[f32], rows: &[f32], dim: usize) -> Vec<f64> {
    let distance = |q: &[f32], b: &[f32]| q.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum::<f64>().sqrt();
    queries.chunks(dim).map(|q| rows.chunks(dim).map(|b| distance(q, b)).fold(f64::INFINITY, f64::min)).collect()
}

fn distances(nearest: &NearestRows, queries: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(nearest.of(queries).unwrap().distances).unwrap()
}

#[test]
fn agrees_with_a_float64_brute_force_across_blocks() {
    let dim = 24;
    let rows = features(5000, dim, 1);
    let mut queries = features(1100, dim, 2);
    // Duplicates of rows on both sides of a block border.
    for (query, row) in [(0, 0), (7, 4095), (1023, 4096), (1024, 4999)] {
        queries[query * dim..(query + 1) * dim].copy_from_slice(&rows[row * dim..(row + 1) * dim]);
    }
    let nearest = NearestRows::new(tensor(&rows, dim)).unwrap();
    let found = distances(&nearest, &tensor(&queries, dim));
    for (i, (got, want)) in found.iter().zip(brute_force(&queries, &rows, dim)).enumerate() {
        assert!((f64::from(*got) - want).abs() <= 2e-6 * want, "query {i}: {got} against {want}");
    }
    for query in [0, 7, 1023, 1024] {
        assert_eq!(found[query], 0.0);
    }
}

#[test]
fn excluded_rows_do_not_count() {
    let dim = 8;
    let rows = features(140, dim, 3);
    let nearest = NearestRows::new(tensor(&rows, dim)).unwrap();
    let excluded: Vec<bool> = (0..140).map(|i| i < 60).collect();
    let left = nearest.without(&Tensor::f_from_slice(&excluded).unwrap()).unwrap();
    let found = distances(&left, &tensor(&rows, dim));
    for (got, want) in found.iter().zip(brute_force(&rows, &rows[60 * dim..], dim)) {
        assert!((f64::from(*got) - want).abs() <= 2e-6 * want.max(1e-3));
    }
    assert!(found[..60].iter().all(|d| *d > 0.0));
    // The rows that all are taken from still count.
    assert!(distances(&nearest, &tensor(&rows, dim)).iter().all(|d| *d == 0.0));
}

#[test]
fn rows_that_rounding_cannot_tell_apart_are_all_measured() {
    // Clusters of four rows that differ in the last bits only, far from the origin and from each other.
    let (dim, clusters) = (300, 60);
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut rows = Vec::new();
    for centre in features(clusters, dim, 8).chunks(dim) {
        for _ in 0..4 {
            rows.extend(centre.iter().map(|c| (10.0 + c) * (1.0 + (rng.random::<f32>() - 0.5) * 1e-6)));
        }
    }
    let nearest = NearestRows::new(tensor(&rows, dim)).unwrap();
    // Every row is its own nearest, at no distance.
    let found = nearest.of(&tensor(&rows, dim)).unwrap();
    assert!(Vec::<f32>::try_from(found.distances).unwrap().iter().all(|d| *d == 0.0));
    assert_eq!(Vec::<i64>::try_from(found.rows).unwrap(), (0..4 * clusters as i64).collect::<Vec<_>>());
    // And one a little aside has the distance of the truly nearest of the four.
    let aside: Vec<f32> = rows.iter().map(|r| r + (rng.random::<f32>() - 0.5) * 1e-4).collect();
    for (got, want) in distances(&nearest, &tensor(&aside, dim)).iter().zip(brute_force(&aside, &rows, dim)) {
        assert!((f64::from(*got) - want).abs() <= 1e-6 * want, "{got} against {want}");
    }
}

#[test]
fn more_duplicates_than_are_remembered_do_no_harm() {
    let dim = 50;
    let one = features(1, dim, 9);
    let rows = one.repeat(200);
    let found = NearestRows::new(tensor(&rows, dim)).unwrap().of(&tensor(&one, dim)).unwrap();
    assert_eq!((found.distances.f_double_value(&[0]).unwrap(), found.rows.f_int64_value(&[0]).unwrap()), (0.0, 0));
}

/// Like features of a network: many values that a few hidden ones make, and some noise.
fn of_hidden(rows: usize, dim: usize, hidden: usize, seed: u64) -> Vec<f32> {
    let mix = features(hidden, dim, 100);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let row = |hidden: &[f32]| -> Vec<f32> {
        let of = |channel: usize| hidden.iter().zip(mix.chunks(dim)).map(|(h, mix)| (h - 0.5) * (mix[channel] - 0.5)).sum::<f32>();
        (0..dim).map(|channel| of(channel).max(0.0) + rng.random::<f32>() * 0.05).collect()
    };
    features(rows, hidden, seed).chunks(hidden).flat_map(row).collect()
}

#[test]
fn nearly_all_rows_are_ruled_out_before_they_are_measured() {
    // Fewer values than axes, as many as a bank of two levels, and more.
    for dim in [40, 128, 300] {
        let (rows, queries) = (of_hidden(3000, dim, 6, 1), of_hidden(200, dim, 6, 2));
        let bank = Bank::new(rows.clone(), dim, 2).unwrap();
        let grid = PatchGrid::of_rows(&tensor(&queries, dim)).unwrap();
        let found = search(&bank, &bank.half_norms, &grid, 2);
        for (got, want) in found.distances.iter().zip(brute_force(&queries, &rows, dim)) {
            assert!((f64::from(*got) - want).abs() <= 2e-6 * want, "{got} against {want}");
        }
        let share = found.measured as f64 / (3000.0 * 200.0);
        assert!(share < 0.02, "{dim} values: {share} of the rows were measured");
    }
}

#[test]
fn a_row_far_from_all_others_is_found_all_the_same() {
    // Far on axes that no other row has, so that it is short of nothing but the rest.
    let dim = 400;
    let mut rows = of_hidden(2000, dim, 6, 3);
    rows[700 * dim..701 * dim].copy_from_slice(&features(1, dim, 4).iter().map(|v| v * 30.0).collect::<Vec<_>>());
    let mut queries = of_hidden(40, dim, 6, 5);
    for (query, scale) in [(3, 0.999), (39, 1.0)] {
        let far: Vec<f32> = rows[700 * dim..701 * dim].iter().map(|v| v * scale).collect();
        queries[query * dim..(query + 1) * dim].copy_from_slice(&far);
    }
    let found = NearestRows::new(tensor(&rows, dim)).unwrap().of(&tensor(&queries, dim)).unwrap();
    let distances = Vec::<f32>::try_from(found.distances).unwrap();
    for (got, want) in distances.iter().zip(brute_force(&queries, &rows, dim)) {
        assert!((f64::from(*got) - want).abs() <= 2e-6 * want, "{got} against {want}");
    }
    let rows = Vec::<i64>::try_from(found.rows).unwrap();
    assert_eq!((rows[3], rows[39], distances[39]), (700, 700, 0.0));
}

#[test]
fn a_batch_of_one_equals_a_row_of_a_batch() {
    let dim = 700;
    let nearest = NearestRows::new(tensor(&features(300, dim, 4), dim)).unwrap();
    let queries = tensor(&features(50, dim, 5), dim);
    let together = distances(&nearest, &queries);
    for (i, want) in together.iter().enumerate() {
        let alone = distances(&nearest, &queries.f_narrow(0, i as i64, 1).unwrap());
        assert_eq!(alone[0].to_bits(), want.to_bits(), "query {i}");
    }
}

#[test]
fn a_nan_query_has_a_nan_distance() {
    let nearest = NearestRows::new(tensor(&features(9000, 4, 6), 4)).unwrap();
    assert!(nearest.is_finite().unwrap());
    let found = distances(&nearest, &tensor(&[0.1, f32::NAN, 0.2, 0.3, 0.1, 0.1, 0.2, 0.3], 4));
    assert!(found[0].is_nan() && found[1].is_finite());
    for wrong in [f32::INFINITY, f32::NAN, 1e30] {
        assert!(!NearestRows::new(tensor(&[1.0, wrong], 2)).unwrap().is_finite().unwrap(), "{wrong}");
    }
    // In a map it spoils the patches that look at it, and no others.
    let mut coarse = features(4, 4, 1);
    coarse[0] = f32::NAN;
    let maps = [map(1, 8, 8, 2), Tensor::f_from_slice(&coarse).unwrap().f_view([1, 4, 2, 2]).unwrap()];
    let nearest = NearestRows::new(tensor(&features(100, 5, 6), 5)).unwrap();
    let found = Vec::<f32>::try_from(nearest.of_maps(&maps, 1, 1).unwrap().0).unwrap();
    let joined = distances(&nearest, &PatchEmbeddings::join(&maps, 1, 1).unwrap().rows);
    assert!(found.iter().zip(&joined).all(|(a, b)| a.is_nan() == b.is_nan()));
    assert!(found[0].is_nan() && found[63].is_finite());
}

#[test]
fn what_does_not_fit_is_refused() {
    let nearest = NearestRows::new(tensor(&features(10, 4, 6), 4)).unwrap();
    assert!(nearest.of(&tensor(&features(10, 5, 6), 5)).is_err());
    assert!(nearest.of_maps(&[map(3, 4, 4, 1)], 1, 1).is_err());
    assert!(nearest.of_maps(&[], 1, 1).is_err());
    assert!(NearestRows::new(tensor(&[], 4)).is_err());
}

/// A feature map as the network gives it: channels innermost, at least half of the values zero.
fn map(channels: i64, height: i64, width: i64, seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..channels * height * width).map(|_| (rng.random::<f32>() * 2.0 - 1.0).max(0.0) * 3.0).collect();
    Tensor::f_from_slice(&values).unwrap().f_view([1, height, width, channels]).unwrap().f_permute([0, 3, 1, 2]).unwrap()
}

/// Maps in several orders and sizes: coarser and finer than the first one, and of its size.
fn several_maps() -> Vec<Vec<Tensor>> {
    vec![
        vec![map(12, 16, 24, 1), map(30, 8, 12, 2), map(300, 4, 6, 3)],
        vec![map(30, 8, 12, 2), map(300, 4, 6, 3), map(12, 16, 24, 1)],
        vec![map(300, 4, 6, 3), map(12, 16, 24, 1)],
        vec![map(7, 13, 9, 4), map(11, 7, 5, 5), map(5, 13, 9, 6), map(19, 4, 3, 7)],
        vec![map(40, 11, 17, 8)],
        vec![map(9, 33, 21, 9), map(20, 1, 1, 10)],
    ]
}

#[test]
fn patches_that_are_not_put_together_have_the_same_distances() {
    for (number, maps) in several_maps().iter().enumerate() {
        for (stride, neighbourhood) in [(1, 1), (1, 3), (2, 1), (2, 3), (3, 1), (3, 3)] {
            let patches = PatchEmbeddings::join(maps, stride, neighbourhood).unwrap();
            let dim = patches.rows.size()[1] as usize;
            let joined = Vec::<f32>::try_from(patches.rows.f_flatten(0, -1).unwrap()).unwrap();
            // Some rows are patches of the image itself, moved a little or not at all.
            let mut rows: Vec<f32> = features(90, dim, 11).iter().map(|r| r * 2.0).collect();
            rows.extend(joined.chunks(dim).step_by(3).flatten());
            rows.extend(joined.chunks(dim).step_by(4).flatten().map(|v| v + 0.01));
            let nearest = NearestRows::new(tensor(&rows, dim)).unwrap();
            let (found, height, width) = nearest.of_maps(maps, stride, neighbourhood).unwrap();
            assert_eq!((height, width), (patches.height, patches.width));
            let found = Vec::<f32>::try_from(found).unwrap();
            let whole = distances(&nearest, &patches.rows);
            for (patch, (got, want)) in found.iter().zip(brute_force(&joined, &rows, dim)).enumerate() {
                let norm = joined[patch * dim..(patch + 1) * dim].iter().map(|v| v * v).sum::<f32>().sqrt();
                // Interpolating rounds each value by at most 8 units of 2⁻²⁴, in another order than libtorch.
                let bound = 1e-6 * (f64::from(norm) + want);
                let case = format!("maps {number} stride {stride} neighbourhood {neighbourhood} patch {patch}");
                assert!((f64::from(*got) - want).abs() <= bound, "{case}: {got} against {want}");
                assert!((f64::from(whole[patch]) - want).abs() <= 1e-6 * want, "{case}: {} against {want}", whole[patch]);
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let maps = [map(40, 24, 24, 1), map(300, 12, 12, 2), map(70, 6, 6, 3)];
    let grid = PatchGrid::of_maps(&maps, 1).unwrap();
    let rows = features(1000, 410, 4);
    let answer = |threads: usize| {
        let bank = Bank::new(rows.clone(), 410, threads).unwrap();
        let found = search(&bank, &bank.half_norms, &grid, threads);
        (found.distances.into_iter().map(f32::to_bits).collect::<Vec<_>>(), found.rows)
    };
    let alone = answer(1);
    for threads in [2, 3, 8, 64] {
        assert!(answer(threads) == alone, "{threads} threads");
    }
}

#[test]
fn the_way_of_a_graphics_processor_gives_the_same() {
    let rows = tensor(&features(5000, 40, 1), 40);
    let queries = tensor(&features(1500, 40, 2), 40);
    let excluded = Tensor::f_from_slice(&(0..5000).map(|i| i % 3 == 0).collect::<Vec<_>>()).unwrap();
    let nearest = NearestRows::new(rows.shallow_clone()).unwrap();
    let on_device = NearestRows(Rows::Device(DeviceRows::new(&rows, Device::Cpu).unwrap()));
    assert_eq!((on_device.size().unwrap(), on_device.is_finite().unwrap()), ((5000, 40), true));
    assert_eq!(on_device.rows().unwrap(), nearest.rows().unwrap());
    for (nearest, on_device) in
        [(nearest.without(&excluded).unwrap(), on_device.without(&excluded).unwrap()), (nearest, on_device.to_device(Device::Cpu).unwrap())]
    {
        for (a, b) in distances(&nearest, &queries).iter().zip(distances(&on_device, &queries)) {
            assert!((a - b).abs() <= 2e-6 * b, "{a} {b}");
        }
    }
    let maps = [map(10, 8, 8, 1), map(30, 4, 4, 2)];
    let on_device = NearestRows(Rows::Device(DeviceRows::new(&rows, Device::Cpu).unwrap()));
    let (found, height, width) = on_device.of_maps(&maps, 1, 3).unwrap();
    assert_eq!((found.size()[0], height, width), (64, 8, 8));
}
