//! The one integration-test binary.

#[cfg(test)]
mod iceberg_golden;
