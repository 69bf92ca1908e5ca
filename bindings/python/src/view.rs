//! Bodies as memory that Python reads where it lies.

use std::ffi::c_int;

use bytes::Bytes;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;

/// Bytes of a message that Python may look at: they live as long as a view of them does.
#[pyclass(frozen, module = "rmq._rmq")]
struct Body {
    bytes: Bytes,
}

#[pymethods]
impl Body {
    /// Fills a request for the buffer.
    ///
    /// # Safety
    /// `view` is a request of the interpreter's, which gives it back to nobody but this type.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("there is no view to fill"));
        }
        let bytes = &slf.get().bytes;
        let length =
            isize::try_from(bytes.len()).map_err(|_| PyBufferError::new_err("too long"))?;
        let start = bytes.as_ptr().cast_mut().cast();
        // SAFETY: `view` is to be filled, and the bytes neither move nor change while the object
        // lives, which the view keeps alive; it is marked as not to be written.
        let failed = unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, 1, flags) };
        match failed {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }
}

/// A view of the bytes, without a copy.
pub(crate) fn view<'py>(py: Python<'py>, bytes: &Bytes) -> PyResult<Bound<'py, PyMemoryView>> {
    let body = Body {
        bytes: bytes.clone(),
    };
    PyMemoryView::from(Bound::new(py, body)?.as_any())
}
