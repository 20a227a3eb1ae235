package admin

import (
	"fmt"
	"io"
	"net/http"
)

// maxOrder bounds an order, in bytes.
const maxOrder = 64 << 10

// order passes on what an operator has signed. The admin face itself lets anybody
// ask: what counts is the signature.
func (s *Server) order(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrder))
	if err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("read order: %w", err))
		return
	}
	report, err := s.cfg.Order(r.Context(), body)
	if err != nil {
		fail(w, http.StatusForbidden, err)
		return
	}
	reply(w, http.StatusOK, report)
}
