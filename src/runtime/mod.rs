//! The OCI runtime core behind coracle-oci.
