//! Keys, and tokens that other software has signed with them: for alice, until 2033. The private halves are gone.

/// RSA, 2048 bits.
pub(super) const RSA: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyOwQGFokOdECJFgFvIed
LSQ3cOKMCMcVLJmKS32fdWZ1QCsy0aN6UcuID+PNNdnoEOraP7UQhyUHsLTbZjDe
YDBDQOCoMc8mOGopqDqGoQagh20PAyRLvzvZhp07AewywZitpG9H8p3GuvfTtOea
nUb5EHh/M5G6pT+lqHEstLyQ5Xau/h8krnSGJ/r3B5BbqlrKCFzXqDTUyp3ZHOV9
eOq5dHC5c2g97TH1GM++1U5DObrVoiKWRQVMLPx1MCjVkvdK6jweunL96fpA+LnF
G/DxViIk9AAc+jZw3/530fPb3j2R0X+i70ZP4fSd4ovDfsJuiESXcC42+LtYoE0j
vQIDAQAB
-----END PUBLIC KEY-----
";

/// P-256.
pub(super) const EC: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEUiZLD19O3gq+ywfCrCX5MvlFUMf
0CVUgOuJdjbpSEdi7FLfq5BoZFbhS1B2R4aOlDaD1aYe66dCgyEN3L0ueQ==
-----END PUBLIC KEY-----
";

/// Ed25519.
pub(super) const ED: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEABN9u4nC0bmBqIKsn80rbCQcKuHs7fP4nfMlzT/udU1E=
-----END PUBLIC KEY-----
";

/// RSA, 1024 bits.
pub(super) const RSA_SHORT: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC2g7u0lsam4XKnVzy1iKQ6pSEu
97gIwwuFxVjX7jVHV+D0Aw2qBbNBa6qZSch9Aya1RTG8ZhZOw4zApfbp6idppgGe
CUPn7dEhqOlNBdcaC85h9bBiphmjmC4VPmiS21NuuSu+tHNZJdHvsNpC1mqVkD+3
ab2o8D9JI2B1Hk77gwIDAQAB
-----END PUBLIC KEY-----
";

/// P-384.
pub(super) const EC_P384: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEnwkq12hnvHBdDr24XOgFu6KLHG0JBnBG
0D2q4hW4OfsEorDHrof96fGvzvndAKvo3y7NnIIfmOpIIcx1JaWoLz16qnzeJkpX
RSKmzOwhOFRsjuszVKA/QEZyC+36JxrT
-----END PUBLIC KEY-----
";

/// Signed with [`RSA`], which it names `rsa`.
pub(super) const RS256: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MjAwMDAwMDAwMH0",
    ".ZvTsAuqZv9OfXB2AF4ZbvBtb7C45wBSdAjafMnj9ivDB0m4TpYRLqTwsMyuaXj05e5SGXFtFe-bnKN58162fBjW2GZsSbDz",
    "0eqIcZe8PbFUAgYeTJNRgbgotLZ54GJ6eA6p48fq6UQaDpMWJcuHrCWP3ffpdt3_30UHABrPi_i-AziSvVb2LqTOiHduDfxo",
    "hKZTyc_oEH5rJlhic_MkPqqnNMLoCvr_zgv8I5wDevOjeYcDvhyqkp5FcotFL4m96jO30bv--Fe52h7wz7RhV7VvVEM6vFB8",
    "jp7frJnkttI2rww54CH1IXB8af3VXhPpOAskHX5Ae9YZjgpehuJHSig",
);

/// Signed with [`EC`], which it names `ec`.
pub(super) const ES256: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6MjAwMDAwMDAwMH0.",
    "gFqjHGacPiHuD4ooSb3u2hyZGDJNB3LthuIO_-c7kcY6yptcZGJ4GWyKxnaQWOTn4xF5BidQpejJnBytB7ahww",
);

/// Signed with [`ED`], which it names `ed`.
pub(super) const EDDSA: &str = concat!(
    "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbGljZSIsImV4cCI6MjAwMDAwMDAwMH0.",
    "lvetMAYZhqIqFsmuHWuzwqAr7TsM4_MtvZpS1bgIfarCza4zfRC0AOnKXZ25ZCFWpP2dGDYZlnPnyV9vX04iBw",
);

/// The three as a key set.
pub(super) const JWKS: &str = concat!(
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"use\":\"sig\",\"alg\":\"RS256\",\"n\":\"yOwQGFokOd",
    "ECJFgFvIedLSQ3cOKMCMcVLJmKS32fdWZ1QCsy0aN6UcuID-PNNdnoEOraP7UQhyUHsLTbZjDeYDBDQOCoMc8mOGopqDqGoQ",
    "agh20PAyRLvzvZhp07AewywZitpG9H8p3GuvfTtOeanUb5EHh_M5G6pT-lqHEstLyQ5Xau_h8krnSGJ_r3B5BbqlrKCFzXqD",
    "TUyp3ZHOV9eOq5dHC5c2g97TH1GM--1U5DObrVoiKWRQVMLPx1MCjVkvdK6jweunL96fpA-LnFG_DxViIk9AAc-jZw3_530f",
    "Pb3j2R0X-i70ZP4fSd4ovDfsJuiESXcC42-LtYoE0jvQ\",\"e\":\"AQAB\"},{\"kty\":\"EC\",\"kid\":\"ec\",\"",
    "crv\":\"P-256\",\"x\":\"EUiZLD19O3gq-ywfCrCX5MvlFUMf0CVUgOuJdjbpSEc\",\"y\":\"YuxS36uQaGRW4UtQdk",
    "eGjpQ2g9WmHuunQoMhDdy9Lnk\"},{\"kty\":\"OKP\",\"kid\":\"ed\",\"crv\":\"Ed25519\",\"alg\":\"EdDSA",
    "\",\"x\":\"BN9u4nC0bmBqIKsn80rbCQcKuHs7fP4nfMlzT_udU1E\"}]}",
);
