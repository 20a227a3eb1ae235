// Command sbom prints the bill of materials of a Go program, as SPDX 2.3 in
// JSON: what it was built from, as the program itself says. The same program
// gives the same text.
//
//	sbom PROGRAM NAME CREATED
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type document struct {
	SPDXVersion   string         `json:"spdxVersion"`
	DataLicense   string         `json:"dataLicense"`
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Namespace     string         `json:"documentNamespace"`
	Creation      creation       `json:"creationInfo"`
	Packages      []pack         `json:"packages"`
	Relationships []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type pack struct {
	ID        string     `json:"SPDXID"`
	Name      string     `json:"name"`
	Version   string     `json:"versionInfo"`
	Location  string     `json:"downloadLocation"`
	Analyzed  bool       `json:"filesAnalyzed"`
	Comment   string     `json:"comment,omitempty"`
	Checksums []checksum `json:"checksums,omitempty"`
	External  []external `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type external struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

func main() {
	if len(os.Args) != 4 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: sbom PROGRAM NAME CREATED")
		os.Exit(2)
	}
	d, err := describe(os.Args[1], os.Args[2], os.Args[3])
	if err == nil {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(d)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// describe returns the document of a program.
func describe(file, name, created string) (*document, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read modules of %s: %w", file, err)
	}
	program, err := os.ReadFile(file) //nolint:gosec // named by the user
	if err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	sum := sha256.Sum256(program)
	digest := hex.EncodeToString(sum[:])
	const root = "SPDXRef-program"
	d := &document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT", Name: name,
		Namespace: "https://github.com/ringway/ringway/sbom/" + digest,
		Creation:  creation{created, []string{"Tool: ringway-sbom"}},
		Packages: []pack{{
			ID: root, Name: info.Main.Path, Version: info.Main.Version, Location: "NOASSERTION",
			Checksums: []checksum{{"SHA256", digest}},
		}},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", root}},
	}
	add := func(p pack) {
		p.ID = fmt.Sprintf("SPDXRef-%d", len(d.Packages))
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, relationship{root, "DEPENDS_ON", p.ID})
	}
	add(pack{
		Name: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go"), Location: "https://go.dev/dl/",
		External: purl("golang/stdlib@" + strings.TrimPrefix(info.GoVersion, "go")),
	})
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		add(pack{
			Name: m.Path, Version: m.Version, Location: "https://proxy.golang.org/" + m.Path + "/@v/" + m.Version + ".zip",
			Comment: "go.sum " + m.Sum, External: purl("golang/" + m.Path + "@" + m.Version),
		})
	}
	return d, nil
}

func purl(what string) []external {
	return []external{{"PACKAGE-MANAGER", "purl", "pkg:" + what}}
}
