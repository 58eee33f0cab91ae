/* python.exe: the interpreter is in python311.dll. */
#include <stdio.h>
#include <windows.h>

typedef int (*Main)(int, wchar_t **);

int wmain(int argc, wchar_t **argv) {
    HMODULE interpreter = LoadLibraryW(L"python311.dll");
    if (interpreter == NULL) {
        fwprintf(stderr, L"python311.dll cannot be loaded: error %lu\n", GetLastError());
        return 99;
    }
    return ((Main)(void (*)(void))GetProcAddress(interpreter, "Py_Main"))(argc, argv);
}
