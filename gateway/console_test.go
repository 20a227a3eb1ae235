package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringway/ringway/test/fed"
)

// TestConsoleShowsTheFederation: people find on the admin port what status says,
// with the stamp and the side that is to blame; and nothing else there changed.
func TestConsoleShowsTheFederation(t *testing.T) {
	f := fed.New(t, threeStamps, noticeSoon)
	admin := f.Stamp("hub").Gateway().AdminURL()
	code, page := get(t, admin+"/") // follows to the console
	require.Equal(t, http.StatusOK, code)
	for _, s := range []string{"hub", "near", "far"} {
		require.Contains(t, page, `<li id="stamp-`+s+`"`)
	}
	require.Contains(t, page, `<th scope="col" role="columnheader">dev</th><th scope="col" role="columnheader">prod</th>`)

	f.Cut("far")
	require.Eventually(t, func() bool {
		_, page = get(t, admin+"/console/stamp/far")
		_, all := get(t, admin+"/console/")
		return strings.Contains(page, `<span class="tag down">DOWN</span>`) && strings.Contains(all, `far → hub`)
	}, fed.Patience, 100*time.Millisecond)
	require.Contains(t, page, "errors.md#rw-30")

	f.Publish("hub", "sh.keptn.event.dev.delivery.triggered", []byte(`{"specversion":"1.0","id":"e1","source":"test","type":"sh.keptn.event.dev.delivery.triggered","shkeptncontext":"c1","data":{"project":"p","stage":"dev","service":"s"}}`))
	require.Eventually(t, func() bool {
		code, page = get(t, admin+"/console/event?id=c1")
		return code == http.StatusOK && strings.Contains(page, "published sh.keptn.event.dev.delivery.triggered")
	}, fed.Patience, 100*time.Millisecond)

	r, err := http.Post(admin+"/console/", "text/plain", nil)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, r.Body)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, r.StatusCode)
	code, _ = get(t, admin+"/nothing")
	require.Equal(t, http.StatusNotFound, code)
}
