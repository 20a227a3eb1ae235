package bridge

import (
	"fmt"
	"strings"
)

// ContextOf is what Keptn's api-service makes of the shkeptncontext of an event
// that is posted: itself if it is a UUID, however that is written; else one of its
// first 16 bytes, filled up with blanks, with the bits of version 4. Whoever gives
// the same text here and to Keptn itself means the same sequence. Empty stays empty.
func ContextOf(given string) string {
	if given == "" || isUUID(given) {
		return given
	}
	b := [16]byte([]byte(fmt.Sprintf("%-16s", given))[:16])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// isUUID reports whether s is a UUID: as usual, with urn:uuid: before it, in
// braces, or without hyphens.
func isUUID(s string) bool {
	switch len(s) {
	case 32:
		return strings.Trim(s, hexDigits) == ""
	case 38:
		s = s[1:37]
	case 45:
		if !strings.EqualFold(s[:9], "urn:uuid:") {
			return false
		}
		s = s[9:]
	}
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune(hexDigits, rune(c)) {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789abcdefABCDEF"
