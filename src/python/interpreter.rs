//! Only one interpreter in a process can use livegui, because the native types and the one agent are shared by the
//! process.

use once_cell::sync::OnceCell;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

static FIRST: OnceCell<i64> = OnceCell::new();

/// Refuses every interpreter except the first that imports the module.
pub fn refuse_another(_py: Python<'_>) -> PyResult<()> {
    // SAFETY: the token proves that this thread is attached to an interpreter, which is all that both calls need.
    // Neither takes or gives a reference.
    let this = unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
    if *FIRST.get_or_init(|| this) == this {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "livegui serves one interpreter a process, and another than this subinterpreter has it already: \
         import it in the main interpreter only",
    ))
}
