package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// server accepts attested connections and answers each request with what it was.
type server struct {
	*settings
	key       *ecdsa.PrivateKey
	caNames   int
	caText    string
	utf8Name  bool
	ticketKey [32]byte
	accepted  chan net.Conn
	address   net.Addr
}

// report is what the server says of each connection that was tried.
type report struct {
	Event        string            `json:"event"`
	OK           bool              `json:"ok"`
	Error        string            `json:"error,omitempty"`
	Alert        string            `json:"alert,omitempty"`
	PlainAlert   int               `json:"plain_alert,omitempty"`
	SNI          string            `json:"sni"`
	Version      string            `json:"version,omitempty"`
	Resumed      bool              `json:"resumed"`
	PeerCerts    int               `json:"peer_certificates"`
	Measurements map[string]string `json:"measurements,omitempty"`
}

func serve(arguments []string) error {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	srv := &server{settings: commonFlags(flags), accepted: make(chan net.Conn)}
	flags.IntVar(&srv.caNames, "ca-names", 1, "distinguished names in the CertificateRequest")
	flags.StringVar(&srv.caText, "ca-text", "", "common name to send in place of the nonce")
	flags.BoolVar(&srv.utf8Name, "utf8-name", false, "encode the common name as UTF8String")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	var err error
	if srv.key, err = newKey(); err != nil {
		return err
	}
	if _, err := rand.Read(srv.ticketKey[:]); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", srv.addr)
	if err != nil {
		return err
	}
	srv.address = listener.Addr()
	say(map[string]string{"event": "listening", "addr": listener.Addr().String()})
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go srv.handshake(connection)
		}
	}()
	return http.Serve(srv, http.HandlerFunc(echo))
}

// Accept, Close and Addr make the server the listener of its own HTTP server: a connection is accepted once its
// handshake is over.
func (srv *server) Accept() (net.Conn, error) { return <-srv.accepted, nil }
func (srv *server) Close() error              { return nil }
func (srv *server) Addr() net.Addr            { return srv.address }

// tap reads a connection and watches the TLS records go by, for a fatal alert that is not encrypted. On TLS 1.3 an
// OpenSSL client that refuses the server's certificate sends one, as it has not begun to write encrypted records;
// OpenSSL reads it, and crypto/tls takes it for a record that it cannot decrypt.
type tap struct {
	net.Conn
	pending []byte
	alert   int
}

func (t *tap) Read(buffer []byte) (int, error) {
	n, err := t.Conn.Read(buffer)
	t.pending = append(t.pending, buffer[:n]...)
	for len(t.pending) >= 5 {
		size := int(binary.BigEndian.Uint16(t.pending[3:]))
		if len(t.pending) < 5+size {
			break
		}
		if record := t.pending[5 : 5+size]; t.pending[0] == 21 && size == 2 && record[0] == 2 {
			t.alert = int(record[1])
		}
		t.pending = t.pending[5+size:]
	}
	return n, err
}

func (srv *server) handshake(raw net.Conn) {
	result := report{Event: "handshake"}
	config := srv.config()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		result.SNI = hello.ServerName
		return srv.configFor(hello, &result)
	}
	watched := &tap{Conn: raw}
	connection := tls.Server(watched, config)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := connection.HandshakeContext(ctx)
	if err != nil {
		result.Error, result.Alert = err.Error(), remoteAlert(err)
		result.PlainAlert = watched.alert
		say(result)
		raw.Close()
		return
	}
	state := connection.ConnectionState()
	result.OK, result.Version = true, tls.VersionName(state.Version)
	result.Resumed, result.PeerCerts = state.DidResume, len(state.PeerCertificates)
	say(result)
	srv.accepted <- connection
}

// configFor makes the configuration of one connection: evidence for the client's nonce, and a nonce of its own.
func (srv *server) configFor(hello *tls.ClientHelloInfo, result *report) (*tls.Config, error) {
	config := srv.config()
	config.SetSessionTicketKeys([][32]byte{srv.ticketKey})
	peerNonce, err := base64.StdEncoding.DecodeString(hello.ServerName)
	if err != nil && srv.attest {
		return nil, fmt.Errorf("SNI is no nonce: %w", err)
	}
	leaf, err := srv.certificate(srv.key, peerNonce)
	if err != nil {
		return nil, err
	}
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: srv.key}}
	if !srv.verify {
		return config, nil
	}
	nonce := make([]byte, 32)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	config.ClientAuth = tls.RequireAnyClientCert
	if config.ClientCAs, err = srv.namesFor(nonce); err != nil {
		return nil, err
	}
	config.VerifyPeerCertificate = func(certificates [][]byte, _ [][]*x509.Certificate) error {
		var err error
		result.Measurements, err = srv.verifyLeaf(certificates[0], nonce)
		return err
	}
	return config, nil
}

// namesFor makes the list of certificate authorities that carries the nonce, with as many names as it was told.
func (srv *server) namesFor(nonce []byte) (*x509.CertPool, error) {
	text := base64.StdEncoding.EncodeToString(nonce)
	if srv.caText != "" {
		text = srv.caText
	}
	pool := x509.NewCertPool()
	for i := 0; i < srv.caNames; i++ {
		name := pkix.Name{CommonName: text}
		if i > 0 {
			name.Organization = []string{fmt.Sprint(i)}
		}
		if srv.utf8Name {
			value := asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(text)}
			name = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: value}}}
		}
		subject, err := asn1.Marshal(name.ToRDNSequence())
		if err != nil {
			return nil, err
		}
		pool.AddCert(&x509.Certificate{Raw: subject, RawSubject: subject})
	}
	return pool, nil
}

// echo answers with what came: the head, and size and digest of the body. After /close the connection ends.
func echo(writer http.ResponseWriter, request *http.Request) {
	digest := sha256.New()
	size, err := io.Copy(digest, request.Body)
	if err != nil {
		return
	}
	writer.Header().Set("Content-Type", "application/json")
	if request.URL.Path == "/close" {
		writer.Header().Set("Connection", "close")
	}
	_ = json.NewEncoder(writer).Encode(map[string]any{
		"method": request.Method, "target": request.RequestURI, "host": request.Host, "headers": request.Header,
		"body_bytes": size, "body_sha256": hex.EncodeToString(digest.Sum(nil)),
	})
}
