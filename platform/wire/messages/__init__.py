"""One file per API: its versions, its request and its response. Imported when first used; see `..codec`."""
