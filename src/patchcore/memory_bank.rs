//! A memory bank in memory and in its folder: `memory_bank.pt`, `tau.json`, `bank_config.json`.

use super::backbone::channels;
use super::bank_config::BankConfig;
use super::bank_json::{damaged, read, read_tau, unreadable};
use super::error::{EngineError, TorchContext};
use super::feature_extractor::FeatureExtractor;
use super::nearest::NearestRows;
use super::torch_file::{read_tensor, write_tensor};
use super::weights::file_sha256 as sha256;
use crate::files::replace_bytes;
use crate::inspection::Tau;
use std::path::Path;
use tch::Kind;

const ROWS_FILE: &str = "memory_bank.pt";
const CONFIG_FILE: &str = "bank_config.json";
const TAU_FILE: &str = "tau.json";

/// The patch embeddings that a product's images are compared with, and the thresholds that go with them.
pub struct MemoryBank {
    /// The rows, laid out to be compared with.
    nearest: NearestRows,
    rows: usize,
    dim: usize,
    config: BankConfig,
    tau: Tau,
}

impl MemoryBank {
    /// Joins what the builder made.
    pub(super) fn new(nearest: NearestRows, config: BankConfig, tau: Tau) -> Result<Self, EngineError> {
        let (rows, dim) = nearest.size().doing("measuring the bank")?;
        Ok(Self { nearest, rows: rows as usize, dim: dim as usize, config, tau })
    }

    /// Reads the three files of a bank folder.
    ///
    /// # Errors
    /// [`EngineError::BankFile`] or [`EngineError::TensorFile`], with the file, the reason and the remedy: a file is missing or not
    /// what it should be, a threshold or a row is not finite, the rows do not fit the layers, or `memory_bank.pt` is not the
    /// file whose SHA-256 `bank_config.json` records.
    pub fn load(dir: &Path) -> Result<Self, EngineError> {
        let config_path = dir.join(CONFIG_FILE);
        let config: BankConfig = read(&config_path)?;
        if let Some((key, reason)) = config.options().problems().into_iter().next() {
            return Err(damaged(&config_path, &format!("`{key}` {reason}")));
        }
        let tau = read_tau(&dir.join(TAU_FILE))?;
        let path = dir.join(ROWS_FILE);
        std::fs::metadata(&path).map_err(|e| unreadable(&path, &e))?;
        // Hashing takes about as long as reading; they run side by side.
        let (hash, rows) = std::thread::scope(|scope| {
            let hash = config.memory_bank_sha256.as_ref().map(|_| scope.spawn(|| sha256(&path)));
            let rows = read_tensor(&path);
            (hash.map(|handle| handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))), rows)
        });
        if let (Some(found), Some(recorded)) = (hash.transpose()?, &config.memory_bank_sha256)
            && found != *recorded
        {
            let text = format!(
                "its sha256 is {found}, but {CONFIG_FILE} records {recorded}: the two files are not of one build, or it is damaged"
            );
            return Err(damaged(&path, &text));
        }
        let rows = rows?;
        let size = rows.size();
        let (&[count, dim], Ok(Kind::Float)) = (size.as_slice(), rows.f_kind()) else {
            return Err(damaged(&path, &format!("it holds a tensor {size:?} of {:?}, not rows [M, D] of float32", rows.f_kind().ok())));
        };
        if count == 0 {
            return Err(damaged(&path, "it holds no rows"));
        }
        let expected: i64 = config.layers.iter().map(|&layer| channels(config.backbone, layer)).sum();
        if dim != expected {
            let layers = config.layers.iter().map(|l| l.as_str()).collect::<Vec<_>>().join(", ");
            let text = format!(
                "its rows have {dim} values, but {layers} of {} give {expected}: `layers` and `backbone` in {CONFIG_FILE} are not those of this bank",
                config.backbone
            );
            return Err(damaged(&path, &text));
        }
        let nearest = NearestRows::new(rows).doing("taking the norms of the bank")?;
        if !nearest.is_finite().doing("checking the bank")? {
            return Err(damaged(&path, "it holds values that are NaN, infinite or too large to compare with"));
        }
        Self::new(nearest, config, tau)
    }

    /// Reads the two small files of a bank folder: how the bank was built, and its thresholds.
    ///
    /// # Errors
    /// As [`MemoryBank::load`], for these two files.
    pub fn describe(dir: &Path) -> Result<(BankConfig, Tau), EngineError> {
        Ok((read(&dir.join(CONFIG_FILE))?, read_tau(&dir.join(TAU_FILE))?))
    }

    /// Writes the three files, each whole or not at all, `bank_config.json` last. The folder is made where it is missing.
    ///
    /// # Errors
    /// [`EngineError::Write`] with the file.
    pub fn save(&self, dir: &Path) -> Result<(), EngineError> {
        let failed = |path: &Path, source| EngineError::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
        let path = dir.join(ROWS_FILE);
        write_tensor(&path, &self.nearest.rows().doing("copying the bank")?)?;
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
        Ok(())
    }

    /// Moves the rows to where the network runs, so that patches need not leave it to be compared.
    ///
    /// # Errors
    /// [`EngineError::Torch`] when there is no memory for them.
    pub fn beside(mut self, extractor: &FeatureExtractor) -> Result<Self, EngineError> {
        self.nearest = self.nearest.to_device(extractor.device()).doing("moving the bank to the device")?;
        Ok(self)
    }

    /// Records what the OK folder was like; [`MemoryBank::save`] writes it to `bank_config.json`.
    pub fn set_ok_fingerprint(&mut self, fingerprint: String) {
        self.config.ok_fingerprint = Some(fingerprint);
    }

    /// M: rows of the bank.
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

    /// Bytes that the rows take as they are held: in main memory about `8·M·D`, twice a float32 tensor.
    pub fn memory_bytes(&self) -> usize {
        self.nearest.memory_bytes()
    }

    pub(super) fn nearest(&self) -> &NearestRows {
        &self.nearest
    }
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), EngineError> {
    let failed = |source| EngineError::Write { path: path.to_owned(), source };
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| failed(e.into()))?;
    bytes.push(b'\n');
    replace_bytes(path, &bytes).map_err(failed)
}
