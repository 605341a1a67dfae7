package upload

import (
	"encoding/base64"
)

// SHA256 is the one algorithm of digests (RFC 9530, section 5). The others that are not deprecated are larger or slower.
const SHA256 = "sha-256"

// FormatDigest is the sum of an algorithm as a field value (RFC 9530, section 3): "sha-256=:base64:".
func FormatDigest(algorithm string, sum []byte) string {
	return algorithm + "=:" + base64.StdEncoding.EncodeToString(sum) + ":"
}
