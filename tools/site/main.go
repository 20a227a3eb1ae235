package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", "../..", "folder of the repository")
	out := flag.String("out", "../../public", "folder to write; what is in it is removed")
	flag.Parse()
	n, problems, err := build(*root, *out)
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, p)
	}
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("%d links lead nowhere", len(problems))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
	fmt.Printf("%d pages in %s\n", n, *out)
}
