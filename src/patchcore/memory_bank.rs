//! A memory bank in memory and in its folder: `memory_bank.pt`, `tau.json`, `bank_config.json`.

use super::backbone::channels;
use super::bank_config::BankConfig;
use super::bank_json::{REMEDY, TauFile, damaged, open_plain};
use super::error::{EngineError, TorchContext};
use super::feature_extractor::FeatureExtractor;
use super::levels::LevelBank;
use super::nearest::NearestRows;
use super::torch_file::{read_fitting_tensor, write_tensor};
use super::weights::file_sha256 as sha256;
use crate::domain::Tau;
use crate::platform::files::replace_bytes;
use std::path::Path;
use tch::{Device, Kind, TchError, Tensor};

const ROWS_FILE: &str = "memory_bank.pt";
const CONFIG_FILE: &str = "bank_config.json";
const TAU_FILE: &str = "tau.json";

/// The patch embeddings that a product's images are compared with, and the thresholds that go with them.
pub struct MemoryBank {
    content: BankRows,
    rows: usize,
    dim: usize,
    config: BankConfig,
    tau: Tau,
}

/// The rows, laid out to be compared with.
pub(super) enum BankRows {
    /// Of `score: guide`: `[M, D]`.
    Single(NearestRows),
    /// Of `score: levels`.
    Levels(LevelBank),
}

/// What the two small files of a bank folder say, and which bytes said it.
#[derive(Debug, Clone, PartialEq)]
pub struct BankFacts {
    /// How the bank was built.
    pub config: BankConfig,
    /// SHA-256 of `bank_config.json`, hexadecimal.
    pub config_sha256: String,
    /// The thresholds.
    pub tau: Tau,
    /// SHA-256 of `tau.json`, hexadecimal.
    pub tau_sha256: String,
}

/// What was recorded when a bank came into use.
#[derive(Debug, Clone, PartialEq)]
pub struct BankRecord {
    /// SHA-256 of `memory_bank.pt`, hexadecimal.
    pub rows_sha256: String,
    /// The same of `bank_config.json`.
    pub config_sha256: String,
    /// The thresholds.
    pub tau: Tau,
}

/// Who records a bank in use.
const THE_HISTORY: &str = "the history";

/// Thresholds may be this many times the largest norm of a row. Patches of images are about as long as those of OK images, so that
/// twice is as far as a distance gets.
const FARTHEST: f64 = 4.0;

impl MemoryBank {
    /// Joins what the builder made.
    pub(super) fn new(content: BankRows, mut config: BankConfig, tau: Tau) -> Result<Self, EngineError> {
        let (rows, dim) = content.tensor().and_then(|tensor| tensor.size2()).doing("measuring the bank")?;
        config.rows = Some(rows as usize);
        Ok(Self { content, rows: rows as usize, dim: dim as usize, config, tau })
    }

    /// Reads the three files of a bank folder.
    ///
    /// # Errors
    /// [`EngineError::BankFile`] or [`EngineError::TensorFile`], with the file, the reason and the remedy: a file is missing or not
    /// what it should be, a threshold or a row is not finite, no part can be as far away as a threshold says, the rows do not fit the
    /// layers, or `memory_bank.pt` is not the file whose SHA-256 `bank_config.json` records.
    pub fn load(dir: &Path) -> Result<Self, EngineError> {
        let BankFacts { config, tau, .. } = Self::describe(dir)?;
        let recorded = config.memory_bank_sha256.clone();
        Self::assemble(dir, config, tau, recorded.as_deref().map(|sha256| (CONFIG_FILE, sha256)))
    }

    /// Reads the bank in `dir` if its files are still the recorded ones. The thresholds are those of the record, and `tau.json` is not
    /// looked at: what people change there counts when it has been recorded.
    ///
    /// # Errors
    /// As [`MemoryBank::load`], and when a file is not the recorded one.
    pub fn load_recorded(dir: &Path, record: &BankRecord) -> Result<Self, EngineError> {
        let path = dir.join(CONFIG_FILE);
        let (config, sha256) = BankConfig::read(&path)?;
        if sha256 != record.config_sha256 {
            return Err(damaged(&path, &not_recorded(&sha256, &record.config_sha256, THE_HISTORY)));
        }
        Self::assemble(dir, config, record.tau, Some((THE_HISTORY, &record.rows_sha256)))
    }

    /// Reads the rows, and refuses them when their file is not the recorded one (by whom, and its SHA-256).
    fn assemble(dir: &Path, config: BankConfig, tau: Tau, recorded: Option<(&str, &str)>) -> Result<Self, EngineError> {
        let path = dir.join(ROWS_FILE);
        drop(open_plain(&path)?);
        // Hashing takes about as long as reading; they run side by side.
        let (hash, rows) = std::thread::scope(|scope| {
            let hash = recorded.map(|_| scope.spawn(|| sha256(&path)));
            let rows = read_rows(&path, &config);
            (hash.map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))), rows)
        });
        if let (Some(found), Some((by, recorded))) = (hash.transpose()?, recorded)
            && found != recorded
        {
            return Err(damaged(&path, &not_recorded(&found, recorded, by)));
        }
        let rows = rows?;
        let (count, dim) = rows.size2().doing("measuring the bank")?;
        let content = BankRows::of(rows, &config)?;
        if !content.is_finite().doing("checking the bank")? {
            return Err(damaged(&path, "it holds values that are NaN, infinite or too large to compare with"));
        }
        check_tau(&dir.join(TAU_FILE), tau, &content)?;
        Ok(Self { content, rows: count as usize, dim: dim as usize, config, tau })
    }

    /// Refuses thresholds that no part can be as far from this bank as: every part would pass.
    ///
    /// # Errors
    /// [`EngineError::BankFile`] that names `tau.json`, and what [`MemoryBank::load`] says of the rows.
    pub fn check_tau(dir: &Path, tau: Tau) -> Result<(), EngineError> {
        let (config, _) = BankConfig::read(&dir.join(CONFIG_FILE))?;
        let content = BankRows::of(read_rows(&dir.join(ROWS_FILE), &config)?, &config)?;
        check_tau(&dir.join(TAU_FILE), tau, &content)
    }

    /// Reads the two small files of a bank folder: how the bank was built, and its thresholds.
    ///
    /// # Errors
    /// As [`MemoryBank::load`], for these two files.
    pub fn describe(dir: &Path) -> Result<BankFacts, EngineError> {
        let (config, config_sha256) = BankConfig::read(&dir.join(CONFIG_FILE))?;
        let TauFile { tau, sha256, .. } = TauFile::read(&dir.join(TAU_FILE))?;
        Ok(BankFacts { config, config_sha256, tau, tau_sha256: sha256 })
    }

    /// Writes the three files, each whole or not at all, `bank_config.json` last. The folder is made where it is missing.
    ///
    /// # Errors
    /// [`EngineError::Write`] with the file.
    pub fn save(&self, dir: &Path) -> Result<(), EngineError> {
        let failed = |path: &Path, source| EngineError::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
        let path = dir.join(ROWS_FILE);
        write_tensor(&path, &self.content.tensor().doing("copying the bank")?)?;
        let config = BankConfig { memory_bank_sha256: Some(sha256(&path)?), ..self.config.clone() };
        write_json(&dir.join(TAU_FILE), &self.tau)?;
        write_json(&dir.join(CONFIG_FILE), &config)
    }

    /// Refuses a network other than the one that the bank was built with.
    ///
    /// # Errors
    /// [`EngineError::BankMismatch`] when the backbone, its weights or its precision differ.
    pub fn check_extractor(&self, extractor: &FeatureExtractor) -> Result<(), EngineError> {
        let config = &self.config;
        if config.backbone != extractor.backbone() {
            return Err(EngineError::BankMismatch(format!(
                "the bank was built with backbone {}, but {} is loaded; load {0} or build the bank again",
                config.backbone,
                extractor.backbone()
            )));
        }
        if let Some(recorded) = config.weights_sha256.as_deref().filter(|recorded| *recorded != extractor.weights_sha256()) {
            return Err(EngineError::BankMismatch(format!(
                "the bank was built with weights of sha256 {recorded}, but those loaded have {}; name the same weights file or build the bank again",
                extractor.weights_sha256()
            )));
        }
        if config.precision != extractor.precision() {
            return Err(EngineError::BankMismatch(format!(
                "the bank was built in {}, but the network runs in {}; set `precision: {0}` or build the bank again",
                config.precision,
                extractor.precision()
            )));
        }
        if config.activation_ranges.as_ref() != extractor.ranges() {
            return Err(EngineError::BankMismatch("the network reaches as far as another bank's int8; load it for this one".to_owned()));
        }
        Ok(())
    }

    /// Moves the rows to where the network runs, so that patches need not leave it to be compared.
    ///
    /// # Errors
    /// [`EngineError::Torch`] when there is no memory for them.
    pub fn beside(mut self, extractor: &FeatureExtractor) -> Result<Self, EngineError> {
        self.content = self.content.to_device(extractor.device()).doing("moving the bank to the device")?;
        Ok(self)
    }

    /// Records what the OK folder was like; [`MemoryBank::save`] writes it to `bank_config.json`.
    pub fn set_ok_fingerprint(&mut self, fingerprint: String) {
        self.config.ok_fingerprint = Some(fingerprint);
    }

    /// M: rows of `memory_bank.pt`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// D: values per row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The thresholds.
    pub fn tau(&self) -> Tau {
        self.tau
    }

    /// How it was built.
    pub fn config(&self) -> &BankConfig {
        &self.config
    }

    /// Bytes that the rows take as they are held: in main memory somewhat more than `4·M·D`.
    pub fn memory_bytes(&self) -> usize {
        match &self.content {
            BankRows::Single(rows) => rows.memory_bytes(),
            BankRows::Levels(levels) => levels.memory_bytes(),
        }
    }

    pub(super) fn content(&self) -> &BankRows {
        &self.content
    }
}

impl BankRows {
    /// Takes the tensor of `memory_bank.pt`, whose size fits `config`.
    fn of(rows: Tensor, config: &BankConfig) -> Result<Self, EngineError> {
        match &config.levels {
            None => NearestRows::new(rows).map(Self::Single).doing("taking the norms of the bank"),
            Some(statistics) => LevelBank::from_tensor(&rows, statistics).map(Self::Levels).doing("taking the bank apart"),
        }
    }

    /// What `memory_bank.pt` holds, on the CPU.
    fn tensor(&self) -> Result<Tensor, TchError> {
        match self {
            Self::Single(rows) => rows.rows(),
            Self::Levels(levels) => levels.tensor(),
        }
    }

    fn to_device(&self, device: Device) -> Result<Self, TchError> {
        match self {
            Self::Single(rows) => rows.to_device(device).map(Self::Single),
            Self::Levels(levels) => levels.to_device(device).map(Self::Levels),
        }
    }

    fn is_finite(&self) -> Result<bool, TchError> {
        match self {
            Self::Single(rows) => rows.is_finite(),
            Self::Levels(levels) => levels.is_finite(),
        }
    }

    /// The largest thresholds that some part could still exceed: (pixel, image), and the largest norm of a row.
    fn farthest(&self) -> Result<(f64, f64, f64), TchError> {
        match self {
            Self::Single(rows) => {
                let reach = norm(&rows.rows()?)?;
                Ok((FARTHEST * reach.max(1.0), FARTHEST * reach.max(1.0), reach))
            }
            Self::Levels(levels) => {
                let reach = levels.reach()?;
                let (pixel, image) = levels.score_at(FARTHEST * reach.max(1.0));
                Ok((pixel, image, reach))
            }
        }
    }
}

/// The rows `[M, D]`; their size is checked before memory is taken for them.
fn read_rows(path: &Path, config: &BankConfig) -> Result<Tensor, EngineError> {
    read_fitting_tensor(path, &|size, kind| {
        let (&[count, dim], Kind::Float) = (size, kind) else {
            return Err(format!("it holds a tensor {size:?} of {kind:?}, not rows [M, D] of float32; {REMEDY}"));
        };
        if count == 0 {
            return Err(format!("it holds no rows; {REMEDY}"));
        }
        let recorded = config.rows.unwrap_or(config.reservoir_max) as i64;
        if count > recorded || (config.rows.is_some() && count != recorded) {
            let key = if config.rows.is_some() { "rows" } else { "reservoir_max" };
            return Err(format!("it holds {count} rows, but `{key}` in {CONFIG_FILE} is {recorded}; {REMEDY}"));
        }
        let expected: i64 = config.layers.iter().filter_map(|&layer| channels(config.backbone, layer)).sum();
        if let Some(statistics) = &config.levels {
            let wrong = || format!("its size {size:?} is not that of two levels as `levels` in {CONFIG_FILE} says; {REMEDY}");
            return if LevelBank::fits(size, statistics, expected) { Ok(()) } else { Err(wrong()) };
        }
        if dim != expected {
            let layers = config.layers.iter().map(|l| l.as_str()).collect::<Vec<_>>().join(", ");
            return Err(format!(
                "its rows have {dim} values, but {layers} of {} give {expected}: `layers` and `backbone` in {CONFIG_FILE} are not those of \
                 this bank; {REMEDY}",
                config.backbone
            ));
        }
        Ok(())
    })
}

/// The largest norm of a row.
fn norm(rows: &Tensor) -> Result<f64, TchError> {
    rows.f_norm_scalaropt_dim(2, [1].as_slice(), false)?.f_max()?.f_double_value(&[])
}

fn check_tau(path: &Path, tau: Tau, content: &BankRows) -> Result<(), EngineError> {
    let (pixel, image, reach) = content.farthest().doing("measuring the bank")?;
    match [("pixel", tau.pixel, pixel), ("image", tau.image, image)].into_iter().find(|(_, value, most)| value > most) {
        Some((key, value, _)) => {
            let text =
                format!("`{key}` is {value}, and no part is as far from this bank (its rows lie within {reach:.1}): every part would pass");
            Err(damaged(path, &text))
        }
        None => Ok(()),
    }
}

fn not_recorded(found: &str, recorded: &str, by: &str) -> String {
    format!(
        "its sha256 is {found}, but {by} records {recorded}: the file was changed or is damaged, or it is not of one build with the others"
    )
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), EngineError> {
    let failed = |source| EngineError::Write { path: path.to_owned(), source };
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| failed(e.into()))?;
    bytes.push(b'\n');
    replace_bytes(path, &bytes).map_err(failed)
}
