package hold

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ringway/ringway/bridge"
)

// A replay is what came of sending dead letters on their way again. It is done
// once, however often it is tried to write that down.
type replay struct {
	over bool
	went []uint64
	err  error
}

// do sends letters with send, if that has not been done, and fills in d. If none
// went it fails: there is nothing to write down.
func (r *replay) do(ctx context.Context, send func(context.Context, []uint64) ([]uint64, error), letters []uint64, d *bridge.Done) error {
	if send == nil {
		return errors.New("no dead letters are kept here")
	}
	if !r.over {
		r.over = true
		r.went, r.err = send(ctx, letters)
	}
	if len(r.went) == 0 && r.err != nil {
		return r.err
	}
	d.Letters = r.went
	d.Result = "replayed " + strings.Trim(strings.ReplaceAll(fmt.Sprint(r.went), " ", ", "), "[]")
	if r.err != nil {
		d.Err = r.err.Error()
		d.Result += ", and no more: " + d.Err
	}
	return nil
}
