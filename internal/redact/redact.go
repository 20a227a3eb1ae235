package redact

import (
	"bytes"
	"regexp"
)

// Mark stands for what was taken out.
const Mark = "[redacted]"

// secretWords are in the names of what is secret.
const secretWords = `pass|secret|token|seed|credential|api[-_]?key|authorization|cookie|private|nkey|signature`

// rules are what to look for, anywhere, and what to put there instead.
var rules = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`(?s)-----BEGIN [^-]+-----.*?-----END [^-]+-----`), Mark},
	{regexp.MustCompile(`(?s)-----BEGIN [^-]+-----.*`), Mark}, // cut off, or with other dashes at its end
	{regexp.MustCompile(`S[UAONCXP][A-Z2-7]{40,}`), Mark},
	{regexp.MustCompile(`eyJ[A-Za-z0-9_=-]{6,}(\.[A-Za-z0-9_=-]*)*`), Mark},
	{regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s"'<>]*@`), "${1}" + Mark + "@"},
	{regexp.MustCompile(`(?i)([?&;][^=&\s]*(?:` + secretWords + `|key|sig|code)[^=&\s]*=)[^&\s"'\\]+`), "${1}" + Mark},
	{regexp.MustCompile(`(?i)\b(bearer|basic)[ \t]+[A-Za-z0-9._~+/=-]+`), "${1} " + Mark},
}

// named finds what is called like a secret, and its value as far as that goes: a
// string, a list or an object; a word; behind a colon and a blank the whole line.
var named = regexp.MustCompile(`(?i)([A-Za-z0-9_.-]*(?:` + secretWords + `)[A-Za-z0-9_.-]*\\*["']?[ \t]*[:=])(` +
	`[ \t]*\\+"[^"]*"` + // in a string that is itself in quotes
	`|[ \t]*"(?:[^"\\]|\\.)*"` +
	`|[ \t]*'[^']*'` +
	`|[ \t]*\[[^\]]*\]|[ \t]*\{[^}]*\}` +
	`|[ \t]+[^\s][^\n]*` +
	`|[^\s,;&}\]"'\\]+)`)

// opens finds a line of YAML that names a secret whose value stands below it.
var opens = regexp.MustCompile(`(?i)^([ \t]*)(?:- )?["']?[A-Za-z0-9_.-]*(?:` + secretWords + `)[A-Za-z0-9_.-]*["']?[ \t]*:[ \t]*([|>][0-9+-]*)?[ \t]*(#.*)?$`)

// Text returns b without what must not be seen.
func Text(b []byte) []byte {
	b = events(b)
	b = below(b)
	for _, r := range rules {
		b = r.what.ReplaceAll(b, []byte(r.with))
	}
	return named.ReplaceAll(b, []byte("${1} "+Mark))
}

// below takes out the lines below one that names a secret, as far as they are
// further in.
func below(b []byte) []byte {
	var out bytes.Buffer
	in := -1 // how far in the secret's name is; -1: none
	for line := range bytes.Lines(b) {
		text := bytes.TrimRight(line, "\r\n")
		depth := len(text) - len(bytes.TrimLeft(text, " \t"))
		rest := text[depth:]
		if in >= 0 && (len(rest) == 0 || depth > in || depth == in && bytes.HasPrefix(rest, []byte("- "))) {
			continue
		}
		in = -1
		if m := opens.FindSubmatch(text); m != nil {
			in = len(m[1])
			out.Write(text)
			out.WriteString(" " + Mark + "\n")
			continue
		}
		out.Write(line)
	}
	return out.Bytes()
}

// eventMark is in every event, and in nothing else.
var eventMark = []byte("specversion")

// events takes out objects that are events, whole.
func events(b []byte) []byte {
	var out bytes.Buffer
	for {
		at := bytes.Index(b, eventMark)
		if at < 0 {
			out.Write(b)
			return out.Bytes()
		}
		from, to := around(b, at)
		out.Write(b[:from])
		out.WriteString(Mark)
		b = b[to:]
	}
}

// around returns where the object begins and ends that has a position in it. One
// whose end is not there ends with the text.
func around(b []byte, at int) (from, to int) {
	depth := 0
	for from = at; from > 0; from-- {
		if b[from] == '}' {
			depth++
		}
		if b[from] == '{' {
			if depth == 0 {
				break
			}
			depth--
		}
	}
	if b[from] != '{' {
		from = bytes.LastIndexByte(b[:at], '\n') + 1
	}
	depth = 0
	for to = from; to < len(b); to++ {
		switch b[to] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return from, to + 1
			}
		}
	}
	return from, len(b)
}
