//! A uniform sample of at most `capacity` patches out of a stream of unknown length (Vitter's algorithm R).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, TchError, Tensor};

/// Where a patch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PatchOrigin {
    /// Number of the image in the order of the build.
    pub image: u32,
    /// `y * width + x` on its grid.
    pub position: u32,
}

/// The sample. The same seed and stream give the same sample.
pub(super) struct Reservoir {
    capacity: usize,
    /// `[capacity, D]` float32, made at the first patch. Its pages are left untouched until rows are written into them, so a
    /// small set of images takes little memory whatever the capacity.
    buffer: Option<Tensor>,
    origins: Vec<PatchOrigin>,
    seen: u64,
    rng: ChaCha8Rng,
}

impl Reservoir {
    /// An empty reservoir.
    pub fn new(capacity: usize, seed: u64) -> Self {
        Self { capacity, buffer: None, origins: Vec::new(), seen: 0, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Streams in the patches `[N, D]` of one image.
    pub fn add(&mut self, image: u32, patches: &Tensor) -> Result<(), TchError> {
        let (count, dim) = patches.size2()?;
        let patches = patches.f_to_device(Device::Cpu)?;
        let buffer = match &mut self.buffer {
            Some(buffer) => buffer,
            none => none.insert(Tensor::f_empty([self.capacity as i64, dim], (Kind::Float, Device::Cpu))?),
        };
        let filled = self.origins.len();
        let fill = (self.capacity - filled).min(count as usize);
        if fill > 0 {
            buffer.f_narrow(0, filled as i64, fill as i64)?.f_copy_(&patches.f_narrow(0, 0, fill as i64)?)?;
            self.origins.extend((0..fill as u32).map(|position| PatchOrigin { image, position }));
            self.seen += fill as u64;
        }
        let mut slots = Vec::new();
        for position in fill as u32..count as u32 {
            self.seen += 1;
            let slot = self.rng.random_range(0..self.seen) as usize;
            if let Some(origin) = self.origins.get_mut(slot) {
                *origin = PatchOrigin { image, position };
                slots.push(slot as i64);
            }
        }
        // A slot may have been hit twice; its origin is that of the last hit.
        slots.sort_unstable();
        slots.dedup();
        if !slots.is_empty() {
            let positions: Vec<i64> = slots.iter().map(|&slot| i64::from(self.origins[slot as usize].position)).collect();
            let taken = patches.f_index_select(0, &Tensor::f_from_slice(&positions)?)?;
            let _ = buffer.f_index_copy_(0, &Tensor::f_from_slice(&slots)?, &taken)?;
        }
        Ok(())
    }

    /// The sample `[rows, D]`, a view of the buffer.
    pub fn rows(&self) -> Result<Tensor, TchError> {
        match &self.buffer {
            Some(buffer) => buffer.f_narrow(0, 0, self.origins.len() as i64),
            None => Err(TchError::Shape("no patch was added".to_owned())),
        }
    }

    /// Where each row of the sample comes from.
    pub fn origins(&self) -> &[PatchOrigin] {
        &self.origins
    }

    /// Patches streamed in so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// True while no patch was dropped; rows then stand in the order of the stream.
    pub fn is_complete(&self) -> bool {
        self.seen == self.origins.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patch `position` of `image` holds both numbers, so that rows can be checked against origins.
    fn patches(image: u32, count: u32) -> Tensor {
        let values: Vec<f32> = (0..count).flat_map(|position| [image as f32, position as f32]).collect();
        Tensor::f_from_slice(&values).unwrap().f_view([-1, 2]).unwrap()
    }

    fn filled(capacity: usize, seed: u64) -> Reservoir {
        let mut reservoir = Reservoir::new(capacity, seed);
        for image in 0..20 {
            reservoir.add(image, &patches(image, 50)).unwrap();
        }
        reservoir
    }

    fn values(reservoir: &Reservoir) -> Vec<f32> {
        Vec::<f32>::try_from(reservoir.rows().unwrap().f_flatten(0, -1).unwrap()).unwrap()
    }

    #[test]
    fn rows_and_origins_agree() {
        let reservoir = filled(130, 7);
        assert_eq!((reservoir.seen(), reservoir.origins().len(), reservoir.is_complete()), (1000, 130, false));
        for (row, origin) in values(&reservoir).chunks(2).zip(reservoir.origins()) {
            assert_eq!((row[0], row[1]), (origin.image as f32, origin.position as f32));
        }
    }

    #[test]
    fn the_sample_is_even_over_the_stream() {
        let mut counts = [0_usize; 20];
        for seed in 0..50 {
            for origin in filled(100, seed).origins() {
                counts[origin.image as usize] += 1;
            }
        }
        // 250 expected for each image; 5 standard deviations are about 73.
        assert!(counts.iter().all(|c| (177..=323).contains(c)), "{counts:?}");
    }

    #[test]
    fn everything_is_kept_in_order_while_there_is_room() {
        let reservoir = filled(1000, 1);
        assert!(reservoir.is_complete());
        assert_eq!(values(&reservoir)[2 * 53..2 * 53 + 2], [1.0, 3.0]);
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(values(&filled(100, 1)), values(&filled(100, 1)));
        assert_ne!(values(&filled(100, 1)), values(&filled(100, 2)));
    }
}
