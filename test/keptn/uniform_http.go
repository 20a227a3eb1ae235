package keptn

import (
	"encoding/json"
	"net/http"
	"slices"
)

// answer writes v as gin does.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(encode(v)) // the client has gone
}

// refuse writes an error in the shape of Keptn's.
func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, apiError{status, message})
}

// An apiError is the body of a refusal.
type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// An idBody is the answer to what creates.
type idBody struct {
	ID string `json:"id"`
}

// read decodes the body of a request, or refuses it.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return false
	}
	return true
}

// serve adds the uniform API to mux.
func (u *uniform) serve(mux *http.ServeMux) {
	const base = "/v1/uniform/registration"
	mux.HandleFunc("POST "+base, u.onRegister)
	mux.HandleFunc("GET "+base, u.onList)
	mux.HandleFunc("PUT "+base+"/{id}/ping", func(w http.ResponseWriter, r *http.Request) {
		i, err := u.ping(r.PathValue("id"))
		if err != nil {
			refuse(w, http.StatusNotFound, err.Error())
			return
		}
		answer(w, http.StatusOK, i)
	})
	mux.HandleFunc("DELETE "+base+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		u.remove(r.PathValue("id"))
		answer(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("GET "+base+"/{id}/subscription", u.onSubscriptions)
	mux.HandleFunc("GET "+base+"/{id}/subscription/{sid}", u.onSubscription)
	mux.HandleFunc("POST "+base+"/{id}/subscription", u.onPut)
	mux.HandleFunc("PUT "+base+"/{id}/subscription/{sid}", u.onPut)
	mux.HandleFunc("DELETE "+base+"/{id}/subscription/{sid}", func(w http.ResponseWriter, r *http.Request) {
		err := u.edit(r.PathValue("id"), func(all []Subscription) []Subscription {
			return slices.DeleteFunc(all, func(s Subscription) bool { return s.ID == r.PathValue("sid") })
		})
		if err != nil {
			u.ghost(r.PathValue("id"))
		}
		answer(w, http.StatusOK, struct{}{})
	})
}

func (u *uniform) onRegister(w http.ResponseWriter, r *http.Request) {
	var in Integration
	if !read(w, r, &in) {
		return
	}
	id, created, err := u.register(in)
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
	case created:
		answer(w, http.StatusCreated, idBody{id})
	default:
		answer(w, http.StatusOK, idBody{id})
	}
}

func (u *uniform) onList(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	is := func(key, value string) bool { return q.Get(key) == "" || q.Get(key) == value }
	answer(w, http.StatusOK, u.list(func(i Integration) bool {
		return is("id", i.ID) && is("name", i.Name) && is("namespace", i.Metadata.Kubernetes.Namespace) &&
			is("hostname", i.Metadata.Hostname) &&
			(q.Get("project")+q.Get("stage")+q.Get("service") == "" || slices.ContainsFunc(i.Subscriptions, func(s Subscription) bool {
				in := func(key string, names []string) bool { return q.Get(key) == "" || slices.Contains(names, q.Get(key)) }
				return in("project", s.Filter.Projects) && in("stage", s.Filter.Stages) && in("service", s.Filter.Services)
			}))
	}))
}

// get returns an integration, or refuses.
func (u *uniform) get(w http.ResponseWriter, id string) (Integration, bool) {
	found := u.list(func(i Integration) bool { return i.ID == id })
	if len(found) == 0 {
		refuse(w, http.StatusNotFound, errNotFound.Error())
		return Integration{}, false
	}
	return found[0], true
}

func (u *uniform) onSubscriptions(w http.ResponseWriter, r *http.Request) {
	if i, ok := u.get(w, r.PathValue("id")); ok {
		answer(w, http.StatusOK, append([]Subscription{}, i.Subscriptions...))
	}
}

func (u *uniform) onSubscription(w http.ResponseWriter, r *http.Request) {
	i, ok := u.get(w, r.PathValue("id"))
	if !ok {
		return
	}
	at := slices.IndexFunc(i.Subscriptions, func(s Subscription) bool { return s.ID == r.PathValue("sid") })
	if at < 0 {
		refuse(w, http.StatusNotFound, errNotFound.Error())
		return
	}
	answer(w, http.StatusOK, i.Subscriptions[at])
}

// onPut creates a subscription, with a new id or with the one of the path.
func (u *uniform) onPut(w http.ResponseWriter, r *http.Request) {
	var s Subscription
	if !read(w, r, &s) {
		return
	}
	unknown := http.StatusInternalServerError
	if s.ID = r.PathValue("sid"); s.ID == "" {
		s.ID, unknown = newID(), http.StatusNotFound
	}
	if err := u.edit(r.PathValue("id"), put(s)); err != nil {
		refuse(w, unknown, err.Error())
		return
	}
	answer(w, http.StatusCreated, idBody{s.ID})
}
