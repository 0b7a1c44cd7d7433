//! Feature maps of an image, read as if they had been resized to one grid and joined.

use tch::{Kind, TchError, Tensor};

/// The patches of one image: `height * width` places, at each the values of all layers one after the other.
///
/// What `PatchEmbeddings::join` computes, without holding it: the maps stay as small as they are.
pub(super) struct PatchGrid {
    pub height: usize,
    pub width: usize,
    pub layers: Vec<LayerMap>,
}

/// One feature map and how the places of the grid look into it.
pub(super) struct LayerMap {
    /// `[places, channels]` row-major.
    pub values: Vec<f32>,
    pub channels: usize,
    /// Columns of the map itself.
    columns: usize,
    /// For each row, then each column of the grid.
    down: Vec<Tap>,
    across: Vec<Tap>,
}

/// Linear interpolation along one axis: `(1 - share)` of one place and `share` of the next.
#[derive(Clone, Copy)]
struct Tap {
    low: usize,
    high: usize,
    share: f32,
}

/// Bilinear interpolation: four places of a map and their weights, which sum to 1.
pub(super) type Corners = [(usize, f32); 4];

impl PatchGrid {
    /// Takes feature maps `[1, C_i, h_i, w_i]` float32 that are to be resized bilinearly (half-pixel centres) to the grid of the
    /// first one, of which every `stride`-th row and column is kept.
    pub fn of_maps(maps: &[Tensor], stride: i64) -> Result<Self, TchError> {
        let Some(base) = maps.first() else { return Err(TchError::Shape("no feature map to join".to_owned())) };
        let (_, _, base_height, base_width) = base.size4()?;
        let (height, width) = ((base_height as usize).div_ceil(stride as usize), (base_width as usize).div_ceil(stride as usize));
        let mut layers = Vec::with_capacity(maps.len());
        for map in maps {
            let (_, channels, rows, columns) = map.size4()?;
            let (map, down, across) = if (rows, columns) == (base_height, base_width) {
                (map.f_slice(2, 0, None, stride)?.f_slice(3, 0, None, stride)?, Tap::each(height), Tap::each(width))
            } else {
                (map.shallow_clone(), Tap::resized(rows, base_height, stride), Tap::resized(columns, base_width, stride))
            };
            let columns = map.size4()?.3 as usize;
            layers.push(LayerMap { values: values(&map.f_permute([0, 2, 3, 1])?)?, channels: channels as usize, columns, down, across });
        }
        Ok(Self { height, width, layers })
    }

    /// Takes embeddings `[N, D]` float32 as a grid of one column.
    pub fn of_rows(rows: &Tensor) -> Result<Self, TchError> {
        let (_, channels) = rows.size2()?;
        Ok(Self::of_values(values(rows)?, channels as usize))
    }

    /// The same of their values, row-major; `channels` is D, at least 1.
    pub fn of_values(values: Vec<f32>, channels: usize) -> Self {
        let height = values.len() / channels;
        let layer = LayerMap { values, channels, columns: 1, down: Tap::each(height), across: Tap::each(1) };
        Self { height, width: 1, layers: vec![layer] }
    }

    /// Patches.
    pub fn len(&self) -> usize {
        self.height * self.width
    }

    /// Values of a patch.
    pub fn channels(&self) -> usize {
        self.layers.iter().map(|layer| layer.channels).sum()
    }

    /// Writes patch `y * width + x` `[D]` out in full.
    #[inline(always)]
    pub fn write(&self, patch: usize, mut to: &mut [f32]) {
        for layer in &self.layers {
            let (mine, rest) = to.split_at_mut(layer.channels);
            layer.interpolate(&layer.corners(patch, self.width), mine);
            to = rest;
        }
    }
}

impl LayerMap {
    /// Places of the map.
    pub fn len(&self) -> usize {
        self.values.len() / self.channels.max(1)
    }

    /// Where patch `y * width + x` of a grid looks, and how much each place counts.
    #[inline(always)]
    pub fn corners(&self, patch: usize, width: usize) -> Corners {
        let (y, x) = (self.down[patch / width], self.across[patch % width]);
        let place = |row: usize, column: usize| row * self.columns + column;
        [
            (place(y.low, x.low), (1.0 - y.share) * (1.0 - x.share)),
            (place(y.low, x.high), (1.0 - y.share) * x.share),
            (place(y.high, x.low), y.share * (1.0 - x.share)),
            (place(y.high, x.high), y.share * x.share),
        ]
    }

    /// The values `[channels]` at one place of the map.
    #[inline(always)]
    pub fn at(&self, place: usize) -> &[f32] {
        &self.values[place * self.channels..(place + 1) * self.channels]
    }

    /// The weighted sum of four places.
    #[inline(always)]
    pub fn interpolate(&self, corners: &Corners, to: &mut [f32]) {
        let [(a, u), (b, v), (c, w), (d, x)] = *corners;
        if a == d {
            return to.copy_from_slice(self.at(a));
        }
        let (a, b, c, d) = (self.at(a), self.at(b), self.at(c), self.at(d));
        for ((((to, a), b), c), d) in to.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *to = a * u + b * v + (c * w + d * x);
        }
    }
}

impl Tap {
    /// Each place as it is.
    fn each(count: usize) -> Vec<Self> {
        (0..count).map(|place| Self { low: place, high: place, share: 0.0 }).collect()
    }

    /// Every `stride`-th of `to` places spread over `from` places, with half-pixel centres, in float32 as libtorch does it.
    fn resized(from: i64, to: i64, stride: i64) -> Vec<Self> {
        let scale = from as f32 / to as f32;
        let tap = |place: i64| {
            let centre = (scale * (place as f32 + 0.5) - 0.5).max(0.0);
            let low = (centre as i64).min(from - 1);
            Self { low: low as usize, high: (low + 1).min(from - 1) as usize, share: (centre - low as f32).min(1.0) }
        };
        (0..to).step_by(stride as usize).map(tap).collect()
    }
}

/// The values of a tensor, row-major, wherever it is.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>, TchError> {
    let mut values = vec![0.0; tensor.numel()];
    let count = values.len();
    tensor.f_to_kind(Kind::Float)?.f_copy_data(&mut values, count)?;
    Ok(values)
}
