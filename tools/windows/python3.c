/* python3.dll: every name in it stands for the same one in python311.dll, as the .def file says. */
int entry(void *module, unsigned reason, void *reserved) {
    (void)module, (void)reason, (void)reserved;
    return 1;
}
