package face

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ringway/ringway/bridge/call"
	"github.com/ringway/ringway/topology"
)

// HeaderStamp is on the answer to /nginx-health, and says whose gateway it is.
const HeaderStamp = "Ringway-Stamp"

const headerToken = "X-Token" //nolint:gosec // a name

const saysOrigin = "a page of another site may not ask for this"

// What Keptn answers to who may not.
const (
	saysMissing = "unauthenticated for invalid credentials" // api-service
	saysWrong   = "incorrect api key auth"                  // api-service
	saysNginx   = "unauthenticated or invalid credentials"  // api-gateway-nginx
	saysTooMany = "too many requests"                       // api-gateway-nginx
)

// serve answers on the listener of everything.
func (f *Face) serve(w http.ResponseWriter, r *http.Request) {
	if service := serviceOf(r.Host, f.cfg.ClusterDomain); service != "" {
		f.serveName(w, r, service)
		return
	}
	p := public(raw(r))
	switch p.kind {
	case kindPublic:
		f.servePublic(w, r, p)
	case kindTunnel:
		f.serveTunnel(w, r, p)
	case kindHealth:
		defer f.count(w, p.kind, time.Now())
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set(HeaderStamp, string(f.cfg.Me))
		_, _ = w.Write([]byte("healthy\n")) // whoever asked may be gone
	case kindName, kindNone:
		defer f.count(w, kindNone, time.Now())
		f.refuse(w, kindNone, http.StatusNotFound, reasonNowhere, fmt.Sprintf("nothing is served at this path: "+
			"it is below /api/, /p/<plane>/api/ or /t/<stamp>/<target>/, or Host names a service of Keptn, which %.100q does not", r.Host))
	}
}

// serveName answers for a service by its name in Keptn's cluster; an empty one
// is told by Host.
func (f *Face) serveName(w http.ResponseWriter, r *http.Request, service string) {
	defer f.count(w, kindName, time.Now())
	if service == "" {
		service = serviceOf(r.Host, f.cfg.ClusterDomain)
	}
	switch {
	case service == "":
		f.refuse(w, kindName, http.StatusNotFound, reasonNowhere, fmt.Sprintf("host %.100q is no service of Keptn", r.Host))
	case !f.mayConnect(f.source(r)):
		f.refuse(w, kindName, http.StatusForbidden, reasonSource, "clients.sources of the stamp do not hold the address of this client")
	case foreign(r):
		f.refuse(w, kindName, http.StatusForbidden, reasonOrigin, saysOrigin)
	default:
		f.call(w, r, kindName, call.Call{Service: service, Target: raw(r)})
	}
}

// servePublic answers as api-gateway-nginx.
func (f *Face) servePublic(w http.ResponseWriter, r *http.Request, p place) {
	defer f.count(w, p.kind, time.Now())
	plane, ok := f.admit(w, r, p)
	if !ok {
		return
	}
	p.call.Plane = plane
	if path, _, _ := strings.Cut(p.call.Target, "?"); p.call.Service == call.API && path == "/v1/auth" {
		w.WriteHeader(http.StatusOK) // who came this far is known
		return
	}
	f.call(w, r, p.kind, p.call)
}

// guarded reports whether there are tokens that could be shown.
func (f *Face) guarded() bool { return f.tokens != nil || f.review != nil }

// shownBy returns the token that a request shows, and in which header. With
// bearer it may also be where HTTP has it.
func shownBy(r *http.Request, bearer bool) (token, header string) {
	if token = r.Header.Get(headerToken); token != "" || !bearer {
		return token, headerToken
	}
	token, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token, "Authorization"
}

// admit finds out who asks for the public API, or refuses.
func (f *Face) admit(w http.ResponseWriter, r *http.Request, p place) (plane string, ok bool) {
	source := f.source(r)
	shown, header := shownBy(r, f.review != nil)
	if (shown == "" || !f.guarded()) && f.cfg.Anonymous && f.mayConnect(source) {
		if foreign(r) {
			f.refuse(w, p.kind, http.StatusForbidden, reasonOrigin, saysOrigin)
			return "", false
		}
		return p.plane, true
	}
	plane, verdict := f.check(r, shown, p.plane)
	switch verdict {
	case reasonToken, reasonClosed:
		if p.call.Service != call.API {
			f.metrics.refused.WithLabelValues(string(p.kind), verdict).Inc()
			answerAs(w, "text/plain", http.StatusUnauthorized, verdict, saysNginx)
			return "", false
		}
		says := saysWrong
		if shown == "" {
			says = saysMissing
		}
		f.refuse(w, p.kind, http.StatusUnauthorized, verdict, says)
		return "", false
	case reasonLimited, reasonReview:
		f.later(w, p.kind, verdict)
		return "", false
	}
	if header != headerToken {
		r.Header.Del(header) // it is for this gateway alone
	}
	return plane, true
}

// later refuses a request that may be let in if it comes again.
func (f *Face) later(w http.ResponseWriter, k kind, why string) {
	w.Header().Set("Retry-After", "1")
	if why == reasonReview {
		f.refuse(w, k, http.StatusServiceUnavailable, why, fmt.Sprintf("gateway of %s: %v", f.cfg.Me, errReview))
		return
	}
	f.refuse(w, k, http.StatusTooManyRequests, why, saysTooMany)
}

// check returns whose token is shown, or why that is not told. If plane is not
// empty it must be its.
func (f *Face) check(r *http.Request, shown, plane string) (is, refused string) {
	if !f.guarded() {
		return "", reasonClosed // nothing can be guessed
	}
	now := time.Now()
	a := attempt{source: counted(f.source(r))}
	if plane != "" && f.tokens != nil && f.tokens.has(plane, now) {
		a.plane = plane
	}
	if shown != "" && f.tokens != nil {
		if is, ok := f.tokens.plane(shown, plane, now); ok && f.limit.succeeded(a, is, now) {
			return is, ""
		}
	}
	if f.review.seems(shown) {
		is, err := f.reviewed(r, shown, a, now)
		switch {
		case err != nil:
			return "", reasonReview
		case is != "" && (plane == "" || plane == is) && f.limit.succeeded(a, is, now):
			return is, ""
		}
	}
	if !f.limit.allows(a, now) {
		return "", reasonLimited
	}
	f.limit.failed(a, now)
	return "", reasonToken
}

// reviewed returns whose token of a ServiceAccount is shown; empty for nobody's,
// and for one that is new and of which nobody is asked since too many were wrong.
func (f *Face) reviewed(r *http.Request, shown string, a attempt, now time.Time) (string, error) {
	is, holds := f.review.recall(shown, now)
	if holds || is.plane == "" && !f.limit.allows(a, now) {
		return is.plane, nil
	}
	return f.review.plane(r.Context(), shown)
}

// call has a call to Keptn answered.
func (f *Face) call(w http.ResponseWriter, r *http.Request, k kind, c call.Call) {
	switch {
	case !strings.HasPrefix(c.Target, "/") || climbs(c.Target):
		f.refuse(w, k, http.StatusBadRequest, reasonClimbs, "the path of the request is none of Keptn's")
		return
	case c.Public && !f.denied[c.Service].Allow(f.cfg.Me, r.Method, c.Target):
		f.refuse(w, k, http.StatusForbidden, reasonDenied, "Keptn's gateway does not offer this")
		return
	case r.ContentLength > f.cfg.MaxRequest:
		f.refuse(w, k, http.StatusRequestEntityTooLarge, reasonTooLarge, fmt.Sprintf("the body of the request is longer than %d bytes", f.cfg.MaxRequest))
		return
	}
	if b, ok := r.Body.(*pacedBody); ok {
		b.p.until = time.Now().Add(bodyTime)
	}
	if f.cfg.Calls != nil {
		bounded := r
		if r.Body != nil && r.Body != http.NoBody {
			bounded = r.WithContext(r.Context())
			bounded.Body = http.MaxBytesReader(w, r.Body, f.cfg.MaxRequest)
		}
		for _, h := range f.cfg.Calls() {
			if h.ServeCall(w, bounded, c) {
				return
			}
		}
	}
	f.cfg.Control(w, r, c)
}

// serveTunnel answers for a target of a stamp.
func (f *Face) serveTunnel(w http.ResponseWriter, r *http.Request, p place) {
	defer f.count(w, p.kind, time.Now())
	var strip []string
	switch {
	case f.cfg.Tunnel == TunnelOff:
		f.refuse(w, p.kind, http.StatusForbidden, reasonOff, "this gateway does not offer targets of stamps (rest.tunnel: off)")
		return
	case f.cfg.Tunnel == TunnelToken:
		shown, header := shownBy(r, true)
		if _, verdict := f.check(r, shown, ""); verdict == reasonLimited || verdict == reasonReview {
			f.later(w, p.kind, verdict)
			return
		} else if verdict != "" {
			f.refuse(w, p.kind, http.StatusUnauthorized, verdict, saysNginx)
			return
		}
		strip = []string{header}
	case !f.mayConnect(f.source(r)):
		f.refuse(w, p.kind, http.StatusForbidden, reasonSource, "clients.sources of the stamp do not hold the address of this client")
		return
	case foreign(r):
		f.refuse(w, p.kind, http.StatusForbidden, reasonOrigin, saysOrigin)
		return
	}
	if !isPlane(p.stamp) || !isPlane(p.target) {
		f.refuse(w, p.kind, http.StatusNotFound, reasonNoTarget, "write /t/<stamp>/<target>/")
		return
	}
	f.cfg.Targets(w, r, topology.StampID(p.stamp), p.target, p.rest, strip)
}

// refuse answers a request that goes no further.
func (f *Face) refuse(w http.ResponseWriter, k kind, code int, reason, message string) {
	f.metrics.refused.WithLabelValues(string(k), reason).Inc()
	Answer(w, code, reason, message)
}

// count counts a request that was answered.
func (f *Face) count(w http.ResponseWriter, k kind, began time.Time) {
	code := 0
	if p, ok := w.(*paced); ok {
		code = p.code
	}
	if code == 0 {
		code = http.StatusOK
	}
	f.metrics.requests.WithLabelValues(string(k), strconv.Itoa(code/100)+"xx").Inc()
	if k == kindPublic || k == kindName {
		f.metrics.seconds.WithLabelValues(string(k)).Observe(time.Since(began).Seconds())
	}
}
