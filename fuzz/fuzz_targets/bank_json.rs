//! `bank_config.json` and `tau.json`, in one text with a zero byte between them. A threshold that is accepted is a distance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchcored::patchcore::MemoryBank;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    for name in ["bank_config.json", "tau.json"] {
        std::fs::write(folder.path().join(name), parts.next().unwrap_or_default()).unwrap();
    }
    if let Ok(facts) = MemoryBank::describe(folder.path()) {
        let distances = 0.0..=f64::from(f32::MAX);
        assert!(distances.contains(&facts.tau.pixel) && distances.contains(&facts.tau.image));
        assert_eq!(facts.config.options().problems(), []);
    }
});
