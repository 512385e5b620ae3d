//! Nothing to use: the tests of this package are its other files.
