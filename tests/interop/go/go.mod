module cvmproxy.example/interop

go 1.21
