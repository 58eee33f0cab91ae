//! The peer of `beat()`: a method of a native class that does nothing.

use pyo3::prelude::*;

/// Something with a method.
#[pyclass(frozen)]
struct Empty;

#[pymethods]
impl Empty {
    #[new]
    const fn new() -> Self {
        Self
    }

    /// Does nothing.
    #[allow(clippy::unused_self, reason = "a method, as `beat` is")]
    const fn call(&self) {}
}

/// The module.
#[pymodule(gil_used = false)]
mod empty_call {
    #[pymodule_export]
    use super::Empty;
}
