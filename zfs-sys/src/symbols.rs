//! Tables of functions found by name in a library that was loaded.

use libloading::Library;

use crate::error::LoadError;

/// Looks `name` up; the type is the caller's claim.
///
/// # Safety
///
/// `F` is a function pointer of the prototype that `name` has in `library`.
unsafe fn find<F: Copy>(library: &Library, name: &'static str) -> Result<F, libloading::Error> {
    // SAFETY: the caller vouches for the prototype; the pointer is copied out
    // and lives as long as the library, which `Lib` never unloads.
    unsafe { library.get::<F>(name.as_bytes()).map(|symbol| *symbol) }
}

/// As [`find`], for a function without which the library is of no use.
///
/// # Safety
///
/// As [`find`].
pub(crate) unsafe fn find_required<F: Copy>(
    library: &Library,
    file: &'static str,
    name: &'static str,
) -> Result<F, LoadError> {
    // SAFETY: passed on.
    unsafe { find(library, name) }.map_err(|source| LoadError::Symbol {
        library: file,
        symbol: name,
        source: Box::new(source),
    })
}

/// As [`find`], for a function that older releases do not have.
///
/// # Safety
///
/// As [`find`].
pub(crate) unsafe fn find_optional<F: Copy>(library: &Library, name: &'static str) -> Option<F> {
    // SAFETY: passed on.
    unsafe { find(library, name) }.ok()
}

/// A table of functions that every supported release exports: loading fails
/// where one is missing, and each can be called as a method of its own name.
macro_rules! required {
    (pub struct $table:ident; $(pub fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        #[derive(Debug, Clone, Copy)]
        pub struct $table {
            $($name: unsafe extern "C" fn($($type),*) $(-> $result)?,)*
        }

        impl $table {
            /// The names of all functions of the table.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// # Safety
            ///
            /// `library` is the one whose prototypes the table has.
            pub(crate) unsafe fn load(
                library: &libloading::Library,
                file: &'static str,
            ) -> Result<Self, crate::error::LoadError> {
                // SAFETY: passed on.
                unsafe {
                    Ok($table {
                        $($name: crate::symbols::find_required(library, file, stringify!($name))?,)*
                    })
                }
            }

            /// What the build was linked with.
            #[cfg(feature = "linked")]
            pub(crate) fn linked() -> Self {
                unsafe extern "C" {
                    $(fn $name($($argument: $type),*) $(-> $result)?;)*
                }
                $table { $($name),* }
            }

            $(
                /// # Safety
                ///
                /// As for the C function of this name.
                pub unsafe fn $name(&self, $($argument: $type),*) $(-> $result)? {
                    // SAFETY: passed on.
                    unsafe { (self.$name)($($argument),*) }
                }
            )*
        }
    };
}

/// A table of functions that came with a later release: each is there or not.
macro_rules! optional {
    (pub struct $table:ident; $(pub fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        #[derive(Debug, Clone, Copy)]
        pub struct $table {
            $(pub $name: Option<unsafe extern "C" fn($($type),*) $(-> $result)?>,)*
        }

        impl $table {
            /// The names of all functions of the table.
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// # Safety
            ///
            /// `library` is the one whose prototypes the table has.
            pub(crate) unsafe fn load(library: &libloading::Library) -> Self {
                // SAFETY: passed on.
                unsafe {
                    $table {
                        $($name: crate::symbols::find_optional(library, stringify!($name)),)*
                    }
                }
            }
        }
    };
}

pub(crate) use {optional, required};
