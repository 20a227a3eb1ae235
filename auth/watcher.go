package auth

import (
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// WatcherMark begins the name of a watcher in account FED. No stamp is called so.
const WatcherMark = "_"

// WatcherInbox is the prefix of the inboxes of a watcher, a name with the mark. It
// hears in no other: those of the bridge have events in them.
func WatcherInbox(name string) string { return "_INBOX." + name }

var watcherName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// watcherUser is for people and programs that watch: they find gateways as NATS
// services, and ask the one of the stamp they connect to. Nothing of it crosses.
func watcherUser(name string) grant {
	return grant{
		types: []string{jwt.ConnectionTypeStandard},
		pub:   []string{"$SRV.>", "rw.v1.ctl.*." + name + ".show.>"},
		sub:   []string{WatcherInbox(name) + ".>", "rw.v1.ctl." + name + ".>"},
	}
}

// Watcher returns the credentials of a watcher, valid for life. fed is the
// identity of account FED.
func Watcher(name string, fed, user nkeys.KeyPair, life time.Duration, now time.Time) ([]byte, error) {
	if !watcherName.MatchString(name) {
		return nil, fmt.Errorf("name %q of a watcher: use small letters, digits and dashes", name)
	}
	c := jwt.NewUserClaims(public(user))
	c.Name = WatcherMark + name
	c.UserPermissionLimits = watcherUser(c.Name).limits()
	token, err := signer{fed, now}.sign(c, "", life)
	if err != nil {
		return nil, err
	}
	return creds(token, user)
}

// UserName returns the name of the user that a credentials file is for.
func UserName(file []byte) (string, error) {
	token, err := jwt.ParseDecoratedJWT(file)
	if err != nil {
		return "", fmt.Errorf("read credentials: %w", err)
	}
	c, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return "", fmt.Errorf("read credentials: %w", err)
	}
	return c.Name, nil
}
