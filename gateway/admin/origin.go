package admin

import (
	"errors"
	"net/http"
)

var errPage = errors.New("pages of a browser may only look: use 'ringway events dlq replay'")

// notForPages refuses what a browser sends for a web page: the port asks for no
// password, and a name that a stranger's page gives to 127.0.0.1 would make
// whoever looks at that page act here (DNS rebinding). Our own pages change
// nothing. Browsers say for which page they send what is more than reading (Fetch
// standard, "append a request Origin header"); nothing else does.
func notForPages(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" {
			fail(w, http.StatusForbidden, errPage)
			return
		}
		next(w, r)
	}
}
