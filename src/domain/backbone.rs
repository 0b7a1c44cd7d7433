//! The networks that make the features, and their layers.

words! {
    /// The network that makes the features.
    Backbone {
        /// torchvision `resnet18`.
        Resnet18 = "resnet18",
        /// torchvision `resnet34`.
        Resnet34 = "resnet34",
        /// torchvision `resnet50`, the default.
        Resnet50 = "resnet50",
        /// torchvision `resnet101`.
        Resnet101 = "resnet101",
        /// torchvision `wide_resnet50_2`.
        WideResnet50 = "wide_resnet50_2",
        /// EfficientNet-Lite0: small and fast.
        EfficientnetLite0 = "efficientnet_lite0",
        /// EfficientNet-Lite1: deeper than Lite0.
        EfficientnetLite1 = "efficientnet_lite1",
        /// EfficientNet-Lite2: deeper and wider than Lite0.
        EfficientnetLite2 = "efficientnet_lite2",
        /// DINOv2 ViT-S/14, a vision transformer, with or without registers.
        Dinov2Vits14 = "dinov2_vits14",
        /// DINOv2 ViT-B/14, twice as wide.
        Dinov2Vitb14 = "dinov2_vitb14",
    }
}

words! {
    /// A place in the backbone that gives a feature map: a stage of a convolutional network, or a block of a transformer.
    Layer {
        /// The stage of stride 4.
        Layer1 = "layer1",
        /// The stage of stride 8.
        Layer2 = "layer2",
        /// The stage of stride 16.
        Layer3 = "layer3",
        /// The stage of stride 32.
        Layer4 = "layer4",
        /// The first block.
        Block1 = "block1",
        /// The second block.
        Block2 = "block2",
        /// The third block.
        Block3 = "block3",
        /// The fourth block.
        Block4 = "block4",
        /// The fifth block.
        Block5 = "block5",
        /// The sixth block.
        Block6 = "block6",
        /// The seventh block.
        Block7 = "block7",
        /// The eighth block.
        Block8 = "block8",
        /// The ninth block.
        Block9 = "block9",
        /// The tenth block.
        Block10 = "block10",
        /// The eleventh block.
        Block11 = "block11",
        /// The twelfth block.
        Block12 = "block12",
    }
}

impl Layer {
    /// How many stages or blocks of the network come before it.
    pub fn depth(self) -> usize {
        let number = self as usize;
        number.checked_sub(Self::Block1 as usize).unwrap_or(number)
    }
}

/// Pixels along a side of a patch of DINOv2.
const DINOV2_PATCH: u32 = 14;

impl Backbone {
    /// The layers that this network has, in the order that an image runs through them.
    ///
    /// ```
    /// use patchcored::domain::{Backbone, Layer};
    /// assert_eq!(Backbone::Resnet18.layers(), [Layer::Layer1, Layer::Layer2, Layer::Layer3, Layer::Layer4]);
    /// assert_eq!(Backbone::Dinov2Vits14.layers().len(), 12);
    /// ```
    pub fn layers(self) -> &'static [Layer] {
        let (stages, blocks) = Layer::ALL.split_at(Layer::Block1 as usize);
        if self.is_transformer() { blocks } else { stages }
    }

    /// The layers of a bank whose options name none, the base grid first.
    ///
    /// The convolutional networks: all stages but the first, as the Python scripts. DINOv2: three blocks at equal distances up to the
    /// last one, for the same reason: early ones see texture, late ones shape. AnomalyDINO (arXiv:2405.14529) takes the last block alone.
    pub fn default_layers(self) -> Vec<Layer> {
        if self.is_transformer() {
            vec![Layer::Block4, Layer::Block8, Layer::Block12]
        } else {
            vec![Layer::Layer2, Layer::Layer3, Layer::Layer4]
        }
    }

    /// Which rows and columns of the base grid are kept when the options do not say it.
    ///
    /// DINOv2 keeps all: its grid at [`Backbone::default_shorter`] has 32×32 patches for a square image, as many as every second one of a
    /// convolutional network.
    pub fn default_stride(self) -> u32 {
        if self.is_transformer() { 1 } else { 2 }
    }

    /// Short side of the resized image, pixels, when the options do not say it. For DINOv2 it is that of AnomalyDINO.
    pub fn default_shorter(self) -> u32 {
        if self.is_transformer() { 32 * DINOV2_PATCH } else { 512 }
    }

    /// Pixels between two places of the coarsest layer.
    pub fn coarsest_stride(self) -> u32 {
        if self.is_transformer() { DINOV2_PATCH } else { 32 }
    }

    /// Both sides of the resized image must be multiples of this many pixels; 1 = any.
    pub fn side_multiple(self) -> u32 {
        if self.is_transformer() { DINOV2_PATCH } else { 1 }
    }

    /// Whether it can be computed in 8-bit integers: the networks of convolutions.
    pub fn has_int8(self) -> bool {
        !self.is_transformer()
    }

    fn is_transformer(self) -> bool {
        match self {
            Self::Dinov2Vits14 | Self::Dinov2Vitb14 => true,
            Self::Resnet18 | Self::Resnet34 | Self::Resnet50 | Self::Resnet101 | Self::WideResnet50 => false,
            Self::EfficientnetLite0 | Self::EfficientnetLite1 | Self::EfficientnetLite2 => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_knows_its_depth() {
        for (first, count, name) in [(0, 4, "layer"), (4, 12, "block")] {
            for (depth, layer) in Layer::ALL[first..first + count].iter().enumerate() {
                assert_eq!((layer.depth(), layer.as_str()), (depth, format!("{name}{}", depth + 1).as_str()));
            }
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_papers() {
        let of = |backbone: Backbone| (backbone.default_layers(), backbone.default_stride(), backbone.default_shorter());
        let convolutional = (vec![Layer::Layer2, Layer::Layer3, Layer::Layer4], 2, 512);
        let transformer = (vec![Layer::Block4, Layer::Block8, Layer::Block12], 1, 448);
        for &backbone in Backbone::ALL {
            let is_transformer = backbone.as_str().starts_with("dinov2");
            assert_eq!(of(backbone), if is_transformer { transformer.clone() } else { convolutional.clone() }, "{backbone}");
            assert_eq!(backbone.side_multiple(), if is_transformer { 14 } else { 1 });
        }
    }
}
