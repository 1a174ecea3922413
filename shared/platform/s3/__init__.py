"""Amazon S3, and what speaks its protocol, behind the Blobs port."""
