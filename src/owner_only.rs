//! Files and folders on Windows that only this user can open, and who owns a file. On POSIX, modes and owners do
//! this. These calls have no safe form.

use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo,
    SDDL_REVISION_1, SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    EqualSid, GetTokenInformation, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID,
    SECURITY_ATTRIBUTES, TOKEN_INFORMATION_CLASS, TOKEN_OWNER, TOKEN_QUERY, TOKEN_USER, TokenOwner,
    TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_NEW, CreateDirectoryW, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_DELETE, FILE_SHARE_READ,
    FILE_SHARE_WRITE,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// Creates a new file for writing.
pub fn create_file(path: &Path) -> io::Result<File> {
    let rights = Rights::of_this_user()?;
    let attributes = rights.attributes();
    let name = wide(path);
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    // SAFETY: the name ends with a zero; it and the attributes live through the call.
    let file = unsafe {
        CreateFileW(
            name.as_ptr(),
            GENERIC_WRITE,
            share,
            &raw const attributes,
            CREATE_NEW,
            FILE_ATTRIBUTE_NORMAL,
            null_mut(),
        )
    };
    if file == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nothing else owns it.
    Ok(File::from(unsafe { OwnedHandle::from_raw_handle(file) }))
}

/// Creates a new folder. What is created in it later has the same permissions.
pub fn create_folder(path: &Path) -> io::Result<()> {
    let rights = Rights::of_this_user()?;
    let attributes = rights.attributes();
    let name = wide(path);
    // SAFETY: the name ends with a zero; it and the attributes live through the call.
    if unsafe { CreateDirectoryW(name.as_ptr(), &raw const attributes) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether an open file or folder belongs to this user, or to the owner of what this process creates: for an
/// administrator, that may be the group of administrators.
pub fn is_ours(open: &impl AsRawHandle) -> io::Result<bool> {
    let (mut owner, mut descriptor): (PSID, PSECURITY_DESCRIPTOR) = (null_mut(), null_mut());
    // SAFETY: the handle is open, and both pointers are to live places of their own.
    let status = unsafe {
        GetSecurityInfo(
            open.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &raw mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &raw mut descriptor,
        )
    };
    if status != ERROR_SUCCESS {
        return Err(io::Error::from_raw_os_error(status.cast_signed()));
    }
    let _descriptor = Local(descriptor);
    // SAFETY: `owner` is in the descriptor, which lives until the end of this function. The other SIDs are in the
    // buffers that are returned with them.
    let is = |(sid, _buffer): (PSID, Vec<u64>)| unsafe { EqualSid(owner, sid) } != 0;
    Ok(is(token(TokenUser)?) || is(token(TokenOwner)?))
}

/// Full access for this user and the system itself, none for anybody else, and nothing inherited from the folder
/// above.
struct Rights(Local);

impl Rights {
    fn of_this_user() -> io::Result<Self> {
        let (sid, _buffer) = token(TokenUser)?;
        let mut text = null_mut();
        // SAFETY: the SID is in the buffer, which lives through the call; the text is freed below.
        if unsafe { ConvertSidToStringSidW(sid, &raw mut text) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let _text = Local(text.cast());
        let mut words = Vec::from_iter("D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;".encode_utf16());
        // SAFETY: the text ends with a zero.
        words.extend(unsafe {
            let length = (0..).take_while(|at| *text.add(*at) != 0).count();
            std::slice::from_raw_parts(text, length)
        });
        words.extend(")\0".encode_utf16());
        let mut descriptor = null_mut();
        // SAFETY: the text ends with a zero, and lives through the call.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                words.as_ptr(),
                SDDL_REVISION_1,
                &raw mut descriptor,
                null_mut(),
            )
        };
        if made == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(Local(descriptor)))
    }

    fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or(0),
            lpSecurityDescriptor: self.0.0,
            bInheritHandle: 0,
        }
    }
}

/// Memory that the system allocated.
struct Local(*mut core::ffi::c_void);

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: the call that filled it in requires that it is freed this way, and nothing else frees it.
        unsafe { LocalFree(self.0) };
    }
}

/// The user of this process, or the owner of what it creates, and the buffer that contains the SID.
fn token(what: TOKEN_INFORMATION_CLASS) -> io::Result<(PSID, Vec<u64>)> {
    let mut handle: HANDLE = null_mut();
    // SAFETY: a constant that stands for this process, and a pointer to a live place.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut handle) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nothing else owns it.
    let token = unsafe { OwnedHandle::from_raw_handle(handle) };
    // A SID has at most 68 bytes. The buffer is of numbers, so that the pointer in it is aligned.
    let mut buffer = vec![0_u64; 32];
    let size = u32::try_from(buffer.len() * size_of::<u64>()).unwrap_or(0);
    let mut used = 0;
    // SAFETY: the buffer is as long as stated, and lives through the call.
    let known = unsafe {
        GetTokenInformation(
            token.as_raw_handle(),
            what,
            buffer.as_mut_ptr().cast(),
            size,
            &raw mut used,
        )
    };
    if known == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: this is what the system has written there; it is aligned, and the buffer is longer than either.
    let sid = unsafe {
        if what == TokenOwner {
            (*buffer.as_ptr().cast::<TOKEN_OWNER>()).Owner
        } else {
            (*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid
        }
    };
    Ok((sid, buffer))
}

fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::Security::Authorization::ConvertSecurityDescriptorToStringSecurityDescriptorW;
    use windows_sys::Win32::Security::DACL_SECURITY_INFORMATION;

    /// The access list as text.
    fn rights(open: &File) -> String {
        let mut descriptor: PSECURITY_DESCRIPTOR = null_mut();
        let what = DACL_SECURITY_INFORMATION;
        // SAFETY: as in `is_ours`.
        let status = unsafe {
            GetSecurityInfo(
                open.as_raw_handle(),
                SE_FILE_OBJECT,
                what,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut descriptor,
            )
        };
        assert_eq!(status, ERROR_SUCCESS);
        let _descriptor = Local(descriptor);
        let mut text = null_mut();
        // SAFETY: the descriptor lives until the end of this function; the text is freed.
        let made = unsafe {
            ConvertSecurityDescriptorToStringSecurityDescriptorW(
                descriptor,
                SDDL_REVISION_1,
                what,
                &raw mut text,
                null_mut(),
            )
        };
        assert_ne!(made, 0);
        let _text = Local(text.cast());
        // SAFETY: it ends with a zero.
        let words = unsafe {
            let length = (0..).take_while(|at| *text.add(*at) != 0).count();
            std::slice::from_raw_parts(text, length)
        };
        String::from_utf16(words).unwrap()
    }

    #[test]
    fn only_its_owner_may_open_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ours");
        let file = create_file(&path).unwrap();
        assert!(is_ours(&file).unwrap());
        let rights = rights(&File::open(&path).unwrap());
        // Everyone, authenticated users, users.
        for group in [";;;WD)", ";;;AU)", ";;;BU)"] {
            assert!(!rights.contains(group), "{rights}");
        }
        assert!(rights.contains("(A;"), "{rights}");
        assert!(create_file(&path).is_err(), "it is there already");
    }

    #[test]
    fn a_folder_is_made_once_and_can_be_written_into() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("öffnen");
        create_folder(&folder).unwrap();
        assert_eq!(
            create_folder(&folder).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        std::fs::write(folder.join("file"), "x").unwrap();
        assert!(is_ours(&File::open(folder.join("file")).unwrap()).unwrap());
    }
}
