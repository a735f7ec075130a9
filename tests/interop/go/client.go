package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// client opens attested connections, one after the other, and makes requests on each.
type client struct {
	*settings
	sni         string
	noSNI       bool
	connections int
	requests    int
	sameNonce   bool
	resume      bool
	bodyBytes   int
	path        string
	header      string
	nonce       []byte
	cache       *countingCache
}

// outcome is what the client says of each connection that it tried.
type outcome struct {
	Event        string            `json:"event"`
	OK           bool              `json:"ok"`
	Stage        string            `json:"stage"`
	Error        string            `json:"error,omitempty"`
	Alert        string            `json:"alert,omitempty"`
	Version      string            `json:"version,omitempty"`
	Resumed      bool              `json:"resumed"`
	Offered      bool              `json:"offered_session"`
	Requested    bool              `json:"certificate_requested"`
	ServerNonce  string            `json:"server_nonce,omitempty"`
	LeafBytes    int               `json:"leaf_bytes"`
	Measurements map[string]string `json:"measurements,omitempty"`
	Responses    []response        `json:"responses"`
}

type response struct {
	Status  int         `json:"status"`
	Headers http.Header `json:"headers"`
	Body    string      `json:"body"`
}

// countingCache keeps TLS sessions and counts how often one was there to be offered.
type countingCache struct {
	tls.ClientSessionCache
	hits atomic.Int32
}

func (cache *countingCache) Get(key string) (*tls.ClientSessionState, bool) {
	session, found := cache.ClientSessionCache.Get(key)
	if found && session != nil {
		cache.hits.Add(1)
	}
	return session, found
}

func connect(arguments []string) error {
	flags := flag.NewFlagSet("client", flag.ExitOnError)
	c := &client{settings: commonFlags(flags)}
	flags.StringVar(&c.sni, "sni", "", "server name to send in place of the nonce")
	flags.BoolVar(&c.noSNI, "no-sni", false, "send no server name: the empty nonce")
	flags.IntVar(&c.connections, "connections", 1, "connections, one after the other")
	flags.IntVar(&c.requests, "requests", 1, "requests on each connection")
	flags.BoolVar(&c.sameNonce, "same-nonce", false, "send one nonce on all connections")
	flags.BoolVar(&c.resume, "resume", false, "keep sessions and offer them again")
	flags.IntVar(&c.bodyBytes, "body", 0, "POST this many bytes in place of a GET")
	flags.StringVar(&c.path, "path", "/", "path and query to request")
	flags.StringVar(&c.header, "header", "", "name of a header to send besides, with the value 'sent'")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	c.cache = &countingCache{ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	for i := 0; i < c.connections; i++ {
		result := outcome{Event: "connection", Stage: "connect", Responses: []response{}}
		if err := c.once(&result); err != nil {
			result.Error, result.Alert = err.Error(), remoteAlert(err)
		} else {
			result.OK = true
		}
		say(result)
	}
	return nil
}

func (c *client) once(result *outcome) error {
	if c.nonce == nil || !c.sameNonce {
		c.nonce = make([]byte, 32)
		if _, err := rand.Read(c.nonce); err != nil {
			return err
		}
	}
	raw, err := net.DialTimeout("tcp", c.addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	config := c.clientConfig(result)
	before := c.cache.hits.Load()
	connection := tls.Client(raw, config)
	result.Stage = "handshake"
	err = connection.HandshakeContext(context.Background())
	result.Offered = c.cache.hits.Load() > before
	if err != nil {
		return err
	}
	state := connection.ConnectionState()
	result.Version, result.Resumed = tls.VersionName(state.Version), state.DidResume
	if err := c.exchange(connection, result); err != nil {
		return err
	}
	return connection.Close()
}

func (c *client) clientConfig(result *outcome) *tls.Config {
	config := c.config()
	nonce := c.nonce
	config.ServerName = base64.StdEncoding.EncodeToString(nonce)
	if c.sni != "" {
		config.ServerName = c.sni
	}
	if c.noSNI {
		config.ServerName, nonce = "", nil
	}
	if c.resume {
		config.ClientSessionCache = c.cache
	}
	config.VerifyPeerCertificate = func(certificates [][]byte, _ [][]*x509.Certificate) error {
		result.LeafBytes = len(certificates[0])
		if !c.verify {
			return nil
		}
		var err error
		result.Measurements, err = c.verifyLeaf(certificates[0], nonce)
		return err
	}
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		result.Requested = true
		serverNonce, err := nonceOf(request.AcceptableCAs)
		if err != nil {
			return nil, err
		}
		result.ServerNonce = hex.EncodeToString(serverNonce)
		key, err := newKey()
		if err != nil {
			return nil, err
		}
		leaf, err := c.certificate(key, serverNonce)
		if err != nil {
			return nil, err
		}
		return &tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}, nil
	}
	return config
}

// nonceOf reads the server's nonce from the one distinguished name of a CertificateRequest.
func nonceOf(names [][]byte) ([]byte, error) {
	if len(names) != 1 {
		return nil, fmt.Errorf("%d names in the CertificateRequest", len(names))
	}
	var sequence pkix.RDNSequence
	if _, err := asn1.Unmarshal(names[0], &sequence); err != nil {
		return nil, err
	}
	var name pkix.Name
	name.FillFromRDNSequence(&sequence)
	nonce, err := base64.StdEncoding.DecodeString(name.CommonName)
	if err == nil && len(nonce) != 32 {
		err = errors.New("the server's nonce is not of 32 bytes")
	}
	return nonce, err
}

func (c *client) exchange(connection *tls.Conn, result *outcome) error {
	reader := bufio.NewReader(connection)
	for i := 0; i < c.requests; i++ {
		result.Stage = "exchange"
		method, body := http.MethodGet, io.Reader(nil)
		if c.bodyBytes > 0 {
			method, body = http.MethodPost, bytes.NewReader(make([]byte, c.bodyBytes))
		}
		request, err := http.NewRequest(method, "http://interop.example"+c.path, body)
		if err != nil {
			return err
		}
		if c.header != "" {
			request.Header[c.header] = []string{"sent"} // the spelling as given, not Go's canonical one
		}
		if err := request.Write(connection); err != nil {
			return afterAlert(connection, err)
		}
		answer, err := http.ReadResponse(reader, request)
		if err != nil {
			return err
		}
		content, err := io.ReadAll(answer.Body)
		if err != nil {
			return err
		}
		result.Responses = append(result.Responses, response{answer.StatusCode, answer.Header, string(content)})
	}
	return nil
}

// afterAlert prefers the alert that the peer sent to the error of a write that failed because it had closed.
func afterAlert(connection *tls.Conn, writeError error) error {
	_, err := connection.Read(make([]byte, 1))
	if remoteAlert(err) != "" {
		return err
	}
	return writeError
}
