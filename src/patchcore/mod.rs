//! The PatchCore engine. The only place that names tch; no tensor in a public signature.
