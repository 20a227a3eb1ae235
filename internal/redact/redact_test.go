package redact_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/internal/redact"
)

// TestNothingSecretIsLeft: whatever form it comes in.
func TestNothingSecretIsLeft(t *testing.T) {
	const s = "PLANTED"
	seed := "SUAPLANTED" + strings.Repeat("A", 48)
	for _, text := range []string{
		"password: PLANTED",
		"  password: PLANTED with blanks, and: more",
		"password = PLANTED",
		`"password": "PLANTED"`,
		`{"x":1,"apiToken":"PLANTED","y":2}`,
		`{"tokens":["PLANTED","PLANTED"],"y":2}`,
		`{"secret":{"a":"PLANTED"},"y":2}`,
		`msg="said \"token\":\"PLANTED\" to it" n=1`,
		`time=now token=PLANTED n=1`,
		`time=now x-token="PLANTED and more" n=1`,
		"secret: |\n  PLANTED\n  PLANTED\n\n  PLANTED\nnext: 1",
		"secret: >-\n    PLANTED\n",
		"tokens:\n- PLANTED\n- PLANTED\nnext: 1",
		"credentials:\n  x: PLANTED\n",
		"- token: PLANTED",
		"nats://PLANTED:PLANTED@host:4222",
		"url: https://user:PLANTED@host/path?x=1",
		"https://user:PLANTED/with@slash@host",
		"https://host/path?a=1&access_token=PLANTED&b=2",
		"https://host/path?sig=PLANTED",
		"Authorization: Bearer PLANTED",
		"header Bearer PLANTED was refused",
		"Cookie: a=PLANTED; b=PLANTED",
		seed,
		"jwt eyJ0eXAiOiJKV1QiPLANTED.eyJqdGkiOiJPLANTED.PLANTED end",
		"-----BEGIN PRIVATE KEY-----\nPLANTED\n-----END PRIVATE KEY-----",
		"-----BEGIN USER NKEY SEED-----\nPLANTED\n------END USER NKEY SEED------\n",
		"-----BEGIN EC PRIVATE KEY-----\nPLANTED",
		`{"specversion":"1.0","data":{"x":"PLANTED"},"id":"PLANTED"}`,
		"body {\n  \"data\": {\"a\": {\"x\": \"PLANTED\"}},\n  \"specversion\": \"1.0\",\n  \"z\": \"PLANTED\"\n} end",
		`msg="{\"specversion\":\"1.0\",\"data\":{\"x\":\"PLANTED\"}}" n=1`,
		`{"specversion":"1.0","data":{"x":"PLANTED`,
		`specversion PLANTED`,
	} {
		require.NotContains(t, string(redact.Text([]byte(text))), s, text)
	}
}

// TestTheRestIsLeft: what helps to find out what is wrong.
func TestTheRestIsLeft(t *testing.T) {
	for _, text := range []string{
		"stamp: eu-1\nlisten:\n  clients: 0.0.0.0:4222\n",
		`{"stamp":"eu-1","links":[{"addr":"hub.example:7422","err":"connection refused"}]}`,
		"https://hub.example:443/path?x=1",
		`ringway_event_delay_seconds_bucket{from="hub",le="0.1"} 12`,
		"goroutine 1 [chan receive]:\nmain.main()\n\t/src/main.go:12 +0x1d",
		`level=WARN msg="link lost" peer=hub err="dial tcp 10.0.0.1:7422: connect: connection refused"`,
	} {
		require.Equal(t, text, string(redact.Text([]byte(text))))
	}
	kept := string(redact.Text([]byte(`a {"b":1} {"specversion":"1.0","d":{}} c`)))
	require.Equal(t, `a {"b":1} `+redact.Mark+` c`, kept)
	require.Equal(t, "token: "+redact.Mark+"\nnext: 1\n", string(redact.Text([]byte("token: x y\nnext: 1\n"))))
}

func TestJSONStaysJSON(t *testing.T) {
	type link struct {
		URL, Token, Err string
		Event           map[string]any
		N               int
	}
	b, err := redact.JSON([]link{{
		URL: "https://a:PLANTED@host/x", Token: "PLANTED", Err: "token: PLANTED and \"more\"", N: 3,
		Event: map[string]any{"specversion": "1.0", "data": "PLANTED"},
	}})
	require.NoError(t, err)
	require.JSONEq(t, `[{"URL":"https://[redacted]@host/x","Token":"[redacted]","Err":"token: [redacted]","Event":"[redacted]","N":3}]`, string(b))
}
