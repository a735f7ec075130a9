// Command interop is another implementation of the aTLS wire contract (docs: "The aTLS wire contract"), written from
// that page with Go's standard library alone, to test cvmproxy against. It is a tool for tests: it can break each
// rule of the contract on purpose, and says what it saw as one JSON object per line on standard output.
//
//	interop server -quotes URL -root FILE [-attest] [-verify] [-tls 1.3] [-fault NAME] …
//	interop client -addr HOST:PORT -quotes URL -root FILE [-attest] [-verify] [-tls 1.3] [-fault NAME] …
package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
)

// settings are the flags that both subcommands have.
type settings struct {
	addr     string
	quotes   string
	root     string
	oid      string
	version  string
	attest   bool
	verify   bool
	mrtd     string
	fault    string
	leafSize int
}

var versions = map[string]uint16{"1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func commonFlags(flags *flag.FlagSet) *settings {
	s := &settings{}
	flags.StringVar(&s.addr, "addr", "127.0.0.1:0", "address to listen on or to connect to")
	flags.StringVar(&s.quotes, "quotes", "", "URL of the remote quote provider")
	flags.StringVar(&s.root, "root", "", "PEM file of the root that quotes are verified to")
	flags.StringVar(&s.oid, "oid", "1.3.9900.1.1", "OID of the evidence extension")
	flags.StringVar(&s.version, "tls", "1.3", "the only TLS version to speak: 1.1, 1.2 or 1.3")
	flags.BoolVar(&s.attest, "attest", false, "present evidence")
	flags.BoolVar(&s.verify, "verify", false, "demand evidence of the peer and verify it")
	flags.StringVar(&s.mrtd, "mrtd", "", "hex value that the peer's MRTD must have")
	flags.StringVar(&s.fault, "fault", "", "rule of the evidence to break: wrong-nonce, other-key, no-evidence, "+
		"two-extensions, not-self-signed, expired, malformed")
	flags.IntVar(&s.leafSize, "leaf-size", 0, "pad the certificate to this many bytes of DER")
	return s
}

// config makes what every connection of this side has in common: one version, no check by PKI.
func (s *settings) config() *tls.Config {
	return &tls.Config{
		MinVersion:         versions[s.version],
		MaxVersion:         versions[s.version],
		InsecureSkipVerify: true, // the evidence is verified instead, in VerifyPeerCertificate
	}
}

var output sync.Mutex

func say(value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(line))
}

// remoteAlert returns the text of the TLS alert that the peer sent, or nothing where the error is of another kind.
func remoteAlert(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return op.Err.Error()
	}
	return ""
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: interop server|client [flags]")
		os.Exit(2)
	}
	var err error
	switch os.Args[1] {
	case "server":
		err = serve(os.Args[2:])
	case "client":
		err = connect(os.Args[2:])
	default:
		err = fmt.Errorf("unknown subcommand %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}
