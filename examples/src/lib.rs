//! The binaries: thin over the libraries.
