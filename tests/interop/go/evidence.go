package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// document is the dcap-tdx attestation document.
type document struct {
	RawQuote []byte
	UserData []byte
}

var fillerOID = asn1.ObjectIdentifier{1, 3, 9900, 9999, 1}

func parseOID(dotted string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for _, part := range strings.Split(dotted, ".") {
		number, err := strconv.Atoi(part)
		if err != nil {
			return nil, fmt.Errorf("OID %q: %w", dotted, err)
		}
		oid = append(oid, number)
	}
	return oid, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// userDataOf is SHA-256 of the key's DER SubjectPublicKeyInfo.
func userDataOf(key *ecdsa.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(spki)
	return digest[:], nil
}

// extraData is SHA-256(user data ‖ nonce).
func extraData(userData, nonce []byte) []byte {
	digest := sha256.Sum256(append(append([]byte{}, userData...), nonce...))
	return digest[:]
}

// fetchQuote asks the remote quote provider for a quote over 32 bytes of extra data.
func fetchQuote(provider string, extra []byte) ([]byte, error) {
	client := http.Client{Timeout: 20 * time.Second}
	response, err := client.Get(strings.TrimRight(provider, "/") + "/attest/" + hex.EncodeToString(extra))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("quote provider: %s: %.100q", response.Status, body)
	}
	return body, nil
}

// attestationDocument makes evidence for the key and the nonce, or breaks it as the fault says.
func (s *settings) attestationDocument(key *ecdsa.PrivateKey, nonce []byte) ([]byte, error) {
	bound := key
	if s.fault == "other-key" {
		other, err := newKey()
		if err != nil {
			return nil, err
		}
		bound = other
	}
	if s.fault == "wrong-nonce" {
		nonce = make([]byte, 32)
		if _, err := rand.Read(nonce); err != nil {
			return nil, err
		}
	}
	userData, err := userDataOf(&bound.PublicKey)
	if err != nil {
		return nil, err
	}
	quote, err := fetchQuote(s.quotes, extraData(userData, nonce))
	if err != nil {
		return nil, err
	}
	if s.fault == "malformed" {
		quote = quote[:len(quote)/2]
	}
	return json.Marshal(document{RawQuote: quote, UserData: userData})
}

// certificate makes the self-signed certificate for one connection; without evidence where none is to be presented.
func (s *settings) certificate(key *ecdsa.PrivateKey, nonce []byte) ([]byte, error) {
	var extensions []pkix.Extension
	if s.attest && s.fault != "no-evidence" {
		oid, err := parseOID(s.oid)
		if err != nil {
			return nil, err
		}
		value, err := s.attestationDocument(key, nonce)
		if err != nil {
			return nil, err
		}
		extensions = append(extensions, pkix.Extension{Id: oid, Value: value})
		if s.fault == "two-extensions" {
			extensions = append(extensions, pkix.Extension{Id: oid, Value: value})
		}
	}
	plain, err := s.sign(key, extensions)
	if err != nil || s.leafSize <= len(plain) {
		return plain, err
	}
	// The lengths around the filler and its OID take about 30 bytes.
	filler := pkix.Extension{Id: fillerOID, Value: make([]byte, s.leafSize-len(plain)-30)}
	return s.sign(key, append(extensions, filler))
}

func (s *settings) sign(key *ecdsa.PrivateKey, extensions []pkix.Extension) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if s.fault == "expired" {
		now = now.Add(-24 * time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber:    serial,
		Subject:         pkix.Name{CommonName: "Constellation"},
		NotBefore:       now.Add(-2 * time.Hour),
		NotAfter:        now.Add(2 * time.Hour),
		ExtraExtensions: extensions,
	}
	signer := key
	if s.fault == "not-self-signed" {
		if signer, err = newKey(); err != nil {
			return nil, err
		}
	}
	return x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, signer)
}
