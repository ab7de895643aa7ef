//! Subordinate ids, id maps, entering the store's namespace.
